"""A sweep as a job array: each task runs some of the trials, as frozen when the sweep was submitted.

Each submission has its own folder in the sweep folder, `submitted/1` and so on, with the plan, the code, the batch
script and the job's output, so that submissions do not affect each other. The batch script starts
`python -m aigc.launch.sweeps.array SUBMISSION` for each task.
"""

import argparse
import contextlib
import dataclasses
import itertools
import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.compose import fill_defaults
from aigc.config.earlier import update_frozen
from aigc.config.freeze import frozen_yaml
from aigc.config.trust import named_packages, trust
from aigc.errors import AigcError, InputError, exit_code
from aigc.launch.clusters import Cluster, JobArray, JobPlan, NoAnswer
from aigc.launch.clusters.frozen_code import freeze_code, planned_folders
from aigc.launch.clusters.kinds import class_name, current_job
from aigc.launch.clusters.submit import for_owner_alone
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.printing import plural
from aigc.runs import stop
from aigc.runs.console import log, show_messages
from aigc.runs.files import write_atomic, write_json
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import utc_now

SCRIPT = "job.sh"
"""The batch script of a submission."""
_PLAN = "plan.json"


def array_script(plan: SweepPlan, cluster: Cluster, path: Path | None = None, folders: list[Path] | None = None) -> str:
    """Return the batch script of a sweep.

    Args:
        plan: The sweep.
        cluster: Where it runs.
        path: The folder of the submission; None takes the next free one.
        folders: Folders of the frozen code; None takes those that freezing would make.
    """
    path = path or next(path for path in _submissions(plan) if not path.exists())
    if folders is None:
        folders = planned_folders(path) if cluster.code_limit() else []
    trusted = [f"--trust={package}" for package in named_packages()]
    tasks = math.ceil(len(plan.trials) / plan.cfg.sweep.per_task)
    return cluster.script(
        JobPlan(
            name=plan.id,
            folder=Path.cwd(),
            log=path / "job.log",
            command=[sys.executable, "-m", "aigc.launch.sweeps.array", *trusted, str(path)],
            python_path=folders,
            array=JobArray(tasks, plan.cfg.sweep.at_once),
        )
    )


def _submissions(plan: SweepPlan) -> Iterator[Path]:
    """Return the folders of a sweep's submissions, in order."""
    return (plan.folder.absolute() / "submitted" / str(number) for number in itertools.count(1))


def submit_sweep(plan: SweepPlan, cluster: Cluster) -> str:
    """Freeze configs and code into the sweep folder and submit the array; a refused job leaves nothing behind.

    A sweep may be submitted again at any time, also while an earlier job waits or runs: no trial runs twice.

    Returns:
        The job's id.

    Raises:
        InputError: The sweep cannot be an array, the code is too large, or the cluster refuses.
        NoAnswer: The job may or may not be queued; the submission's folder is kept.
    """
    if plan.axes:
        raise InputError("sweep=optuna chooses trials one after another, so it cannot be a job array of frozen trials")
    cluster.check_ready()
    array_script(plan, cluster)  # raises its errors before anything is written
    path = _make_folder(plan)
    try:
        _write_plan(path, plan, class_name(cluster))
        limit = cluster.code_limit()
        folders = [] if limit is None else freeze_code(path, plan.folder.absolute().parents[1], limit)
        with for_owner_alone():
            write_atomic(path / SCRIPT, array_script(plan, cluster, path, folders))
        job = cluster.submit(path / SCRIPT)
    except NoAnswer:
        raise  # a job may need the folder
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):  # there are other submissions, or runs
            path.parent.rmdir()
            path.parent.parent.rmdir()
        raise
    SweepFolder(plan.folder).write(plan)
    return job


def _make_folder(plan: SweepPlan) -> Path:
    for path in _submissions(plan):
        with contextlib.suppress(FileExistsError):
            path.mkdir(parents=True)
            break
    return path


def _write_plan(path: Path, plan: SweepPlan, cluster: str) -> None:
    trials = [
        {"identity": one.identity, "overrides": one.overrides, "config": frozen_yaml(one.cfg)} for one in plan.trials
    ]
    about: dict[str, Any] = {"experiment": plan.experiment, "typed": plan.typed, "fixed": plan.fixed, "keys": plan.keys}
    about |= {"cluster": cluster, "submitted": utc_now(), "trials": trials}
    write_json(path / _PLAN, about)


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((path / _PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / _PLAN} cannot be read: {error}; `aigc submit` writes it") from error
    return found


def _updated(text: str) -> DictConfig:
    """Return a frozen config; one that an earlier version queued has the names and keys of this version."""
    cfg = OmegaConf.create(text)
    assert isinstance(cfg, DictConfig)
    update_frozen(cfg)
    fill_defaults(cfg)
    return cfg


def frozen_plan(path: Path, task: int) -> SweepPlan:
    """Return the trials of one task, as they were submitted; they are listed in the sweep folder.

    Args:
        path: The folder of the submission.
        task: From 0.

    Raises:
        InputError: The sweep was not submitted, or is damaged.
    """
    about = _read_plan(path)
    trials = [
        Trial(number, one["overrides"], _updated(one["config"]), one["identity"])
        for number, one in enumerate(about["trials"])
    ]
    cfg = trials[0].cfg
    plan = SweepPlan(about["experiment"], about["typed"], about["fixed"], about["keys"], trials, cfg)
    folder = SweepFolder(path.absolute().parents[1])
    cfg.sweep.name = folder.id
    if cfg.sweep.workers is None and (cfg.get("cluster") or {}).get("gpus") == 0:
        cfg.sweep.workers = 1  # the ranks of one trial use all cores of the task
    folder.write(plan, only_new=True)  # a task may start before the command that submitted it has listed them
    per_task = cfg.sweep.per_task
    own = trials[task * per_task : (task + 1) * per_task]
    if not own:
        raise InputError(
            f"task {task} of a job array: {path} has only {plural(len(trials), 'trial')}, {per_task} per task"
        )
    return dataclasses.replace(plan, trials=own)


def queued_job(path: Path, plan: SweepPlan, job: str) -> SubmittedJob:
    """Return the job of this task for the manifests of its trials; shared where it runs several of them."""
    about = _read_plan(path)
    shared = len(plan.trials) > 1
    return SubmittedJob(cluster=about["cluster"], id=job, submitted=about["submitted"], shared=shared)


def main() -> int:
    """Run the trials of this task."""
    parser = argparse.ArgumentParser(prog="python -m aigc.launch.sweeps.array", description=__doc__)
    parser.add_argument("submission", metavar="SUBMISSION", help="a folder in `submitted` of a sweep folder")
    parser.add_argument("--trust", action="append", default=[], metavar="PACKAGE", help="as for `aigc train`")
    options = parser.parse_args()
    trust(options.trust)
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    show_messages()
    from aigc.launch.sweeps.driver import Driver
    from aigc.launch.sweeps.process import warm_up

    warm_up()
    try:
        with stop.listening():
            job = current_job()
            if job is None or job.task is None:
                raise InputError("this process is not a task of a job array: `aigc submit` starts such tasks")
            path = Path(options.submission)
            plan = frozen_plan(path, job.task)
            queued = queued_job(path, plan, job.id)
            tally = Driver(plan, max_failures=plan.cfg.sweep.max_failures, queued=queued).run()
    except (Exception, KeyboardInterrupt) as error:
        log.error("%s", error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}")
        return exit_code(error)
    for number, why in sorted((tally.failed_elsewhere | tally.failed).items()):
        log.error("trial %d %s", number, why)
    return 1 if tally.all_failed or tally.left else 0


if __name__ == "__main__":
    sys.exit(main())

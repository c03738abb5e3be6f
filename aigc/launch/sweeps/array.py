"""A sweep as a job array: each task of it works on some of the trials, as frozen when the sweep was submitted.

`python -m aigc.launch.sweeps.array SWEEP_FOLDER` is what a batch script starts for each task.
"""

import argparse
import dataclasses
import json
import math
import os
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from aigc.config.freeze import frozen_yaml
from aigc.config.trust import named_packages, trust
from aigc.errors import AigcError, InputError, exit_code
from aigc.launch.clusters import Cluster, JobPlan
from aigc.launch.frozen_code import freeze_code, planned_folders
from aigc.launch.submit import for_owner_alone
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.trials import Plan, Trial
from aigc.runs import stop
from aigc.runs.console import log, show_messages
from aigc.runs.files import write_atomic, write_json
from aigc.runs.status import utc_now

SCRIPT = "job.sh"
"""The batch script in the sweep folder."""
_CONFIGS = "configs.jsonl"
_TASK = "SLURM_ARRAY_TASK_ID"


def array_script(plan: Plan, cluster: Cluster, folders: list[Path] | None = None) -> str:
    """The batch script of a sweep.

    Args:
        plan: The sweep.
        cluster: Where it runs.
        folders: Of the frozen code; None takes those that freezing would make.
    """
    path = plan.folder.absolute()
    if folders is None:
        folders = planned_folders(path) if cluster.limit_of_code() else []
    trusted = [f"--trust={package}" for package in named_packages()]
    tasks = math.ceil(len(plan.trials) / plan.cfg.sweep.per_task)
    at_once = f"%{plan.cfg.sweep.at_once}" if plan.cfg.sweep.at_once else ""
    return cluster.script(
        JobPlan(
            name=plan.id,
            folder=Path.cwd(),
            log=path / "logs" / "job.log",
            command=[sys.executable, "-m", "aigc.launch.sweeps.array", *trusted, str(path)],
            python_path=folders,
            array=f"0-{tasks - 1}{at_once}",
        )
    )


def submit_sweep(plan: Plan, cluster: Cluster) -> str:
    """Freeze configs and code into the sweep folder and queue the array.

    Returns:
        The job's id.

    Raises:
        InputError: The sweep cannot be an array, the code is too large, or the cluster refuses.
    """
    if plan.axes:
        raise InputError("sweep=optuna chooses trials one after another: it cannot be a job array of frozen ones")
    cluster.see_ready()
    array_script(plan, cluster)  # what is wrong in it is said before anything is written
    folder = SweepFolder(plan.folder)
    folder.write(plan)
    path = plan.folder.absolute()
    lines = [json.dumps({"identity": one.identity, "config": frozen_yaml(one.cfg)}) + "\n" for one in plan.trials]
    write_atomic(path / _CONFIGS, "".join(lines))
    limit = cluster.limit_of_code()
    folders = [] if limit is None else freeze_code(path, path.parents[1], limit)
    script = path / SCRIPT
    with for_owner_alone():
        write_atomic(script, array_script(plan, cluster, folders))
    job = cluster.submit(script)
    target = f"{type(cluster).__module__}.{type(cluster).__qualname__}"
    about = folder.about()
    about["jobs"] = [*about.get("jobs", []), {"cluster": target, "id": job, "submitted": utc_now()}]
    write_json(path / "sweep.json", about)
    return job


def one_driver(cluster: Cluster) -> Cluster:
    """The cluster with one process a task, which starts the ranks of a trial itself; InputError beyond one node."""
    nodes, tasks = getattr(cluster, "nodes", 1), getattr(cluster, "tasks", 1)
    if nodes > 1:
        raise InputError(f"cluster.nodes={nodes}: a trial of an array has one node; submit such runs one by one")
    return dataclasses.replace(cluster, tasks=1) if tasks != 1 and dataclasses.is_dataclass(cluster) else cluster


def frozen_plan(folder: SweepFolder, task: int) -> Plan:
    """The share of one task, from the configs as they were submitted.

    Raises:
        InputError: The sweep was not submitted, or is damaged.
    """
    about = folder.about()
    path = folder.path / _CONFIGS
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        configs = {row["identity"]: row["config"] for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; `aigc submit` writes it") from error
    listed = [trial for trial in folder.trials() if trial.identity in configs]
    trials = []
    for one in listed:
        cfg = OmegaConf.create(configs[one.identity])
        assert isinstance(cfg, DictConfig)
        trials.append(Trial(one.number, one.overrides, cfg, one.identity))
    each = trials[0].cfg.sweep.per_task
    mine = trials[task * each : (task + 1) * each]
    if not mine:
        raise InputError(f"{_TASK}={task}: {folder.id} has {len(trials)} trials, {each} a task")
    cfg = mine[0].cfg
    cfg.sweep.name = folder.id
    return Plan(about["experiment"], about["typed"], about["fixed"], about["keys"], mine, cfg)


def main() -> int:
    """Work on the share of this task."""
    parser = argparse.ArgumentParser(prog="python -m aigc.launch.sweeps.array", description=__doc__)
    parser.add_argument("sweep", metavar="SWEEP_FOLDER")
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
            task = os.environ.get(_TASK, "")
            if not task.isdigit():
                raise InputError(f"the environment variable {_TASK} is {task!r}; a task of a job array has it")
            plan = frozen_plan(SweepFolder(Path(options.sweep)), int(task))
            tally = Driver(plan, max_failures=plan.cfg.sweep.max_failures).run()
    except (Exception, KeyboardInterrupt) as error:
        log.error("%s", error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}")
        return exit_code(error)
    for number, why in sorted((tally.listed | tally.failed).items()):
        log.error("trial %d %s", number, why)
    return 1 if tally.all_failed or tally.left else 0


if __name__ == "__main__":
    sys.exit(main())

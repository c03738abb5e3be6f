"""Submit a checked config, or a stopped run, to the queue of a cluster; no torch at import."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from aigc.config import ConfigError, build, compose
from aigc.config.check import check, find_problems
from aigc.config.compose import override
from aigc.config.origins import origins_of
from aigc.config.problems import Problem
from aigc.config.trust import named_packages
from aigc.errors import InputError
from aigc.launch.clusters import Cluster, JobPlan, JobState, NoAnswer
from aigc.launch.clusters.frozen_code import CODE, freeze_code, planned_folders
from aigc.launch.clusters.kinds import class_name, default_kind, kinds
from aigc.launch.clusters.local import Local
from aigc.launch.clusters.run_state import read_states
from aigc.launch.start import runs_root, start
from aigc.runs import Run
from aigc.runs.console import log
from aigc.runs.files import write_atomic
from aigc.runs.manifest import SubmittedJob
from aigc.runs.status import STATUS_FILE, Status, read_status, utc_now, write_status

SCRIPT = "job.sh"
"""The batch script in the run folder."""


def cluster_of(cfg: DictConfig) -> Cluster:
    """Return the cluster of a config.

    Raises:
        ConfigError: Its settings are wrong, or the trainer's devices and nodes differ from the cluster's.
    """
    cluster = _build_cluster(cfg)
    found = list(cluster.problems(cfg.trainer.nodes, cfg.trainer.devices))
    if found:
        origins = origins_of(cfg)
        raise ConfigError([Problem(problem.key, problem.what, origins.of(problem.key)) for problem in found])
    return cluster


def _build_cluster(cfg: DictConfig) -> Cluster:
    """Return the cluster that a config names; this machine where it names none."""
    return Local() if cfg.get("cluster") is None else build(cfg.cluster, Cluster, "cluster")


def check_cluster(cfg: DictConfig) -> None:
    """Check that a composed config and its cluster agree; other problems are left to `check`.

    Raises:
        ConfigError: As `cluster_of`.
    """
    explained_by_cluster = ("trainer.devices", "trainer.nodes")
    if all(problem.key in explained_by_cluster for problem in find_problems(cfg)):
        cluster_of(cfg)


def check_runs_here(cfg: DictConfig) -> None:
    """Check that a config is meant for this machine; raises InputError where it names a cluster."""
    cluster = cluster_of(cfg)
    if not cluster.runs_locally:
        raise InputError(
            f"cluster={cluster.name}: submit it with `aigc submit`, or run it here with `aigc train cluster=local`"
        )


def preview(cfg: DictConfig, overrides: Sequence[str] = ()) -> str:
    """Return the batch script that `submit` would write, without writing anything."""
    path = runs_root(cfg).absolute() / (cfg.run.id or f"{cfg.experiment.replace('/', '-')}-DATE-TIME-XXXX")
    cluster = cluster_of(cfg)
    frozen = planned_folders(path) if cluster.code_limit() else []
    return cluster.script(_plan(path, frozen, overrides))


def submit(cfg: DictConfig, overrides: Sequence[str]) -> tuple[Run, str]:
    """Freeze config and code into a new run folder and submit it; a refused job leaves nothing behind.

    Args:
        cfg: A checked config.
        overrides: What was typed.

    Returns:
        The run and the job's id.

    Raises:
        InputError: The config, the data, the code or the output folder is wrong, or the cluster refuses the job.
        NoAnswer: The job may or may not be queued; the run folder is kept.
    """
    cluster = cluster_of(cfg)
    if cfg.run.resume == "auto":
        raise InputError("run.resume=auto is for your own job scripts; `aigc submit --resume RUN` submits a run again")
    cluster.check_ready()
    cluster.script(_plan(Path("run"), [], ()))  # raises its errors before the data are prepared
    run = start(cfg, overrides, ["aigc", *sys.argv[1:]]).run
    try:
        job = _submit_script(run, cluster)
    except NoAnswer:
        raise  # a job may need the folder
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    _note_job(run, cluster, job)  # from here on there is a job that needs the folder
    return run, job


def resubmit(run: Run, overrides: Sequence[str]) -> str:
    """Submit a stopped run again; it resumes from its newest checkpoint with the code it was first submitted with.

    Args:
        run: The run; one that was started with `aigc train` is submitted with the current code.
        overrides: `cluster.*` of the new job, and those that `aigc resume` takes.

    Returns:
        The job's id.

    Raises:
        InputError: The run is finished, running or queued, an override is wrong, or the cluster refuses the job.
    """
    from aigc.launch.attempt import attempt_config
    from aigc.launch.length import is_longer

    row = read_states([run])[0]
    waits = row.job is not None and row.job.state is not JobState.GONE
    of_cluster = [text for text in overrides if text.lstrip("+~").startswith("cluster.")]
    others = [text for text in overrides if text not in of_cluster]
    cfg = attempt_config(run, others)
    check(cfg)
    is_over = row.status is Status.FINISHED and not is_longer(run, attempt_config(run), cfg)
    if is_over or row.status is Status.RUNNING or waits:
        where = f", job {row.job_id} is {row.job}" if waits else ""
        raise InputError(f"run {run.id} is {row.status}{where}: there is nothing to submit")
    on_cluster = _on_cluster(cfg, of_cluster)
    cluster = cluster_of(on_cluster)
    gpus, tasks = on_cluster.cluster.get("gpus"), on_cluster.cluster.get("tasks")
    if gpus and gpus != tasks and not any("cluster.tasks=" in text for text in of_cluster):
        log.warning(
            "cluster.gpus=%s: the run keeps its number of ranks on each node, %s; to change it, add "
            "cluster.tasks=N trainer.devices=N resume.allow=[world_size]",
            *(gpus, tasks),
        )
    cluster.check_ready()
    job = _submit_script(run, cluster, others)
    _note_job(run, cluster, job)
    return job


def _on_cluster(cfg: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """Return the config with a cluster that has a queue, and with the run's number of ranks."""
    if _build_cluster(cfg).runs_locally:
        name = default_kind()
        node = OmegaConf.to_container(compose([f"cluster={name}"]).cluster, resolve=False)
        on_gpus = cfg.trainer.accelerator != "cpu"
        sizes = kinds()[name].settings_for(cfg.trainer.nodes, cfg.trainer.devices, on_gpus)
        cfg.cluster = {**node, **sizes}  # type: ignore[dict-item]
    changed = override(cfg, overrides, ("cluster",))
    check(changed)
    return changed


def _submit_script(run: Run, cluster: Cluster, overrides: Sequence[str] = ()) -> str:
    """Write the batch script and submit it."""
    path = run.path.absolute()
    limit, code = cluster.code_limit(), path / CODE
    if limit is None:
        folders = []
    elif code.is_dir():
        folders = [Path(line) for line in run.record.code_folders]
    else:
        folders = freeze_code(path, path.parents[1], limit)
        with run.edit_manifest() as manifest:
            manifest.code_folders = list(map(str, folders))
        if not folders:
            log.warning("neither aigc nor this folder is in git: the code is not frozen, later edits affect the job")
    script = path / SCRIPT
    with for_owner_alone():
        write_atomic(script, cluster.script(_plan(path, folders, overrides)))
    before = read_status(path)
    write_status(path, Status.PENDING, step=before.step, message=f"being submitted to {cluster.name}", pid=0)
    try:
        job = cluster.submit(script)
    except BaseException:
        write_status(path, before.status, step=before.step, message=before.message, since=before.since, pid=0)
        raise
    return job


def _note_job(run: Run, cluster: Cluster, job: str) -> None:
    """Record the job in the manifest and in the status."""
    path = run.path
    with run.edit_manifest() as manifest:
        manifest.note_job(SubmittedJob(cluster=class_name(cluster), id=job, submitted=utc_now()))
    if read_status(path).message == f"being submitted to {cluster.name}":  # else it runs already
        message = f"job {job} on {cluster.name}"
        write_status(path, Status.PENDING, step=read_status(path).step, message=message, pid=0)


@contextmanager
def for_owner_alone() -> Iterator[None]:
    """Create files that only their owner can read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _plan(path: Path, folders: Sequence[Path], overrides: Sequence[str]) -> JobPlan:
    """Return the plan of a run's job."""
    python = [sys.executable]
    trusted = [f"--trust={package}" for package in named_packages()]
    return JobPlan(
        name=path.name,
        folder=Path.cwd(),
        log=path / "job.log",
        command=[*python, "-m", "aigc.launch.worker", *trusted, str(path), *overrides],
        python_path=folders,
        status=path / STATUS_FILE,
        after=[*python, "-m", "aigc.launch.clusters.exit_notes", str(path)],
    )

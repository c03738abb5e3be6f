"""compose → check → freeze → work: errors are found before the run folder exists."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from aigc.config.check import check_targets
from aigc.config.freeze import frozen_yaml
from aigc.config.identity import identity
from aigc.config.origins import locating
from aigc.errors import InputError
from aigc.launch.attempt import attempt_config
from aigc.launch.devices import settle_devices
from aigc.launch.earlier import run_of_other_code
from aigc.launch.length import LIMITS
from aigc.launch.prepared_run import PreparedRun
from aigc.runs import Run, list_runs
from aigc.runs.console import log
from aigc.runs.references import settle_runs
from aigc.runs.reserve import check_free, try_place


def check_place(cfg: DictConfig) -> None:
    """Check that the run folder of a new run can be made; `start` finds what happens after this.

    Raises:
        InputError: The output folder is not writable, or `run.id` is taken or is not a valid folder name.
    """
    root = runs_root(cfg)
    check_writable(root)
    if cfg.run.id is not None and cfg.run.resume != "auto":
        check_free(root, cfg.run.id)


def start(cfg: DictConfig, overrides: Sequence[str], command: Sequence[str] | None = None, **notes: Any) -> PreparedRun:
    """Make the run folder of a checked config, after its data have been prepared.

    Args:
        cfg: A config that `check` has accepted.
        overrides: What was typed.
        command: The command line; None means that of this process.
        notes: More fields of the manifest, by name.

    Raises:
        InputError: The config, the data or the output folder is wrong; nothing was written except the data cache.
    """
    check_targets(cfg)
    _settle(cfg)
    check_place(cfg)
    _check_optimizer(cfg)
    data = _prepared_data(cfg)
    run = Run.create(
        runs_root(cfg),
        cfg.experiment,
        frozen_yaml(cfg),
        overrides=overrides,
        command=command,
        seed=cfg.seed,
        data_fingerprint=data.fingerprint,
        run_id=cfg.run.id,
        **({"identity": identity(cfg)} | notes),
    )
    return PreparedRun(run, True, attempt_config(run), data)


def start_or_resume(cfg: DictConfig, overrides: Sequence[str], command: Sequence[str] | None = None) -> PreparedRun:
    """Return the run to train: with `run.resume=auto` the newest run of the same config, if there is one.

    Raises:
        InputError: As `start`, and when `run.id` names a run of another config.
    """
    _settle(cfg)
    found = _find_same(cfg) if cfg.run.resume == "auto" else None
    if found is not None:
        log.info("run.resume=auto: resuming %s (%s)", found.id, found.status)
        return PreparedRun(found)
    if cfg.run.resume == "auto":
        log.info("run.resume=auto: there is no run of this config yet")
    try:
        return start(cfg, overrides, command)
    except InputError:
        found = _find_same(cfg) if cfg.run.resume == "auto" and cfg.run.id else None
        if found is None:
            raise
        return PreparedRun(found)  # the same command was started twice at once, and the other one was faster


def prepared_data(cfg: DictConfig, model: Path | None = None) -> Any:
    """Prepare the data of a checked config as a run does that trains on them.

    Args:
        cfg: A config that `check` has accepted.
        model: The model/ of a run that the data are for; None takes what training starts from.

    Raises:
        InputError: The data cannot be used.
    """
    check_targets(cfg)
    _settle_runs(cfg)
    return _prepared_data(cfg, model)


def _settle(cfg: DictConfig) -> None:
    """Replace what another machine or another hour would understand differently."""
    settle_devices(cfg)
    _settle_runs(cfg)


def _settle_runs(cfg: DictConfig) -> None:
    for part in (cfg.get("model"), cfg.get("data")):
        if part:
            settle_runs(part, runs_root(cfg))


def carried_over(run: Run, cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """Return the overrides that a resumed run takes from the command that starts it as well.

    These are the typed ones that are not part of a config's identity, and other limits of training.

    Args:
        run: The run that was found.
        cfg: The composed config.
        overrides: What was typed.
    """
    typed = [text for text in overrides if text.lstrip("+").startswith(("logger", "resume.", "data.num_workers"))]
    for name in LIMITS:
        asked, known = cfg.trainer[name], (run.config.trainer.get(name), attempt_config(run).trainer[name])
        typed += [] if asked in known else [f"trainer.{name}={'null' if asked is None else asked}"]
    return typed


def _find_same(cfg: DictConfig) -> Run | None:
    """Return the run with this id, which may have another number of steps, or the newest run of this config."""
    root = runs_root(cfg)
    if cfg.run.id is not None:
        if not (root / cfg.run.id).exists():
            return None
        run = Run.open(root / cfg.run.id)
        if not _is_same(run, cfg) and not _is_same(run, _with_limits_of(run, cfg)):
            raise InputError(
                f"run.id={cfg.run.id}: that run has another config (`aigc show {cfg.run.id} --config`); "
                "choose another run.id"
            )
        return run
    wanted, runs = identity(cfg), list_runs(root)
    return next((run for run in runs if _identity_of(run) == wanted), None) or run_of_other_code(runs, cfg)


def _is_same(run: Run, cfg: DictConfig) -> bool:
    """Whether a run has this config."""
    return run.record.identity == identity(cfg) or run_of_other_code([run], cfg) is not None


def _with_limits_of(run: Run, cfg: DictConfig) -> DictConfig:
    """Return a composed config with the limits of training of a run; keys that refer to them follow."""
    changed = copy.deepcopy(cfg)
    changed.trainer.update({name: run.config.trainer.get(name) for name in LIMITS})
    return changed


def _identity_of(run: Run) -> str | None:
    try:
        return run.record.identity
    except InputError:
        return None  # a damaged run cannot be resumed


def runs_root(cfg: DictConfig) -> Path:
    """Return the folder of all run folders."""
    return Path(cfg.paths.outputs).expanduser() / "runs"


def check_writable(root: Path) -> None:
    """Check that run folders can be made here.

    Raises:
        InputError: A folder of the path is not writable, or is a file.
    """
    existing = root.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"paths.outputs: {existing} is a file, so {root} cannot be made; give another folder")
    try:
        # Permissions alone are not enough: nobody can make a folder in /proc.
        try_place(existing)
    except OSError as error:
        what = f"{existing} is not writable ({error.strerror})"
        raise InputError(f"paths.outputs: {what}; give another folder: paths.outputs=FOLDER") from error


def _check_optimizer(cfg: DictConfig) -> None:
    from aigc.launch.deep_check import check_optimizer

    with locating(cfg):
        check_optimizer(cfg)


def _prepared_data(cfg: DictConfig, model: Path | None = None) -> Any:
    from aigc.launch.components import build_data, prepare_machine

    prepare_machine(cfg)  # seeds what the data draw, in whichever process opens them
    with locating(cfg):
        return build_data(cfg, model)

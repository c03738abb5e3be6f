"""Runs named in a config: `run:RUN`, where RUN is a run id, a unique prefix of one, a path, or `latest`."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.runs.folder import Run
from aigc.runs.locate import find_run, runs_root
from aigc.runs.status import Status

PREFIX = "run:"
_TYPED = re.compile(r"(?<=[=,\[\"' ])run:([^,\]\"'\s]+)")
_PATH_KEY = re.compile(r"\+{0,2}[\w.]*\bpath=")
_ROOT = "paths.outputs="


def is_reference(path: object) -> bool:
    """Return whether a value of a config names a run."""
    return isinstance(path, str) and path.startswith(PREFIX)


def settled(reference: str, root: Path | None = None) -> str:
    """Return a reference that means the same tomorrow and elsewhere: `run:` and the whole path of the run folder.

    Args:
        reference: `run:RUN`.
        root: The folder of all runs; None takes the default one.

    Raises:
        InputError: There is no such run, or several.
    """
    return f"{PREFIX}{_found(reference, root)}"


def settle_typed(overrides: Sequence[str]) -> list[str]:
    """Return overrides whose keys named `path` have settled references, as `latest` is another run in a minute.

    Raises:
        InputError: As `settled`.
    """
    roots = [text.removeprefix(_ROOT) for text in overrides if text.startswith(_ROOT)]
    root = runs_root(Path(roots[-1]).expanduser() / "runs") if roots else None
    return [_settled_text(text, root) if _PATH_KEY.match(text) else text for text in overrides]


def _settled_text(text: str, root: Path | None) -> str:
    try:
        return _TYPED.sub(lambda found: settled(found.group(), root), text)
    except InputError as error:
        raise InputError(f"{text.partition('=')[0]}: {error}") from error


def settle_runs(node: Any, root: Path) -> None:
    """Settle all references in a part of a config, in place.

    Args:
        node: A mapping or a list of OmegaConf.
        root: The folder of all runs.

    Raises:
        InputError: As `settled`.
    """
    from omegaconf import DictConfig, ListConfig, OmegaConf

    for key in range(len(node)) if isinstance(node, ListConfig) else list(node):
        if OmegaConf.is_interpolation(node, key) or OmegaConf.is_missing(node, key):
            continue
        value = node[key]
        if isinstance(value, DictConfig | ListConfig):
            settle_runs(value, root)
        elif is_reference(value):
            node[key] = settled(value, root)


def model_folder(reference: str) -> Path:
    """Return the folder of the model that a run has left.

    Raises:
        InputError: There is no such run, or it is not finished.
    """
    run = Run(_found(reference))
    if run.status is not Status.FINISHED:
        raise InputError(
            f"{reference}: the run is {run.status}, and only a finished one has a model; `aigc resume {run.id}` "
            "finishes it"
        )
    if not run.model.is_dir():
        raise InputError(
            f"{reference}: the run has no folder {run.model.name}/ any more; `aigc resume {run.id}` makes it"
        )
    return run.model


def _found(reference: str, root: Path | None = None) -> Path:
    name = reference.removeprefix(PREFIX)
    if not name:
        raise InputError(f"{PREFIX} needs the name of a run: a run id, a unique prefix of one, a path, or latest")
    folder = Path(name).expanduser()
    if folder.is_absolute() and not folder.is_dir():
        try:  # the folder of all runs has moved
            return find_run(folder.name, root).absolute()
        except InputError:
            pass
    return find_run(name, root).absolute()

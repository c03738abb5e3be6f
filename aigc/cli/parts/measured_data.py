"""Which data `aigc eval` measures on: nothing that the model was trained on, unless a person asks for it by name."""

import filecmp
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc import assets
from aigc.errors import InputError
from aigc.files.search import search

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from aigc.runs import Run

_SPLIT = ("validation_path", "validation_fraction", "validation_documents")
"""Settings that say what is held out; one of them that was typed decides."""
_SPLIT_BY = ("validation_fraction", "validation_documents", "seed")
"""What decides the held-out part of data whose class does not say it in `split_by`."""


def settle_measured(run: "Run", cfg: "DictConfig", overrides: Sequence[str]) -> None:
    """Make a config measure the whole of other data that were typed as `data.path`, and the held-out part of the run's.

    Args:
        run: The run.
        cfg: Its config with the overrides, changed in place.
        overrides: What was typed.

    Raises:
        InputError: What would be measured was trained on.
    """
    typed = {text.partition("=")[0].lstrip("+~") for text in overrides}
    trained, now = run.config.get("data") or {}, cfg.data
    before, path = trained.get("path"), now.get("path")
    if "data.validation_path" in typed and now.get("validation_path"):
        return
    if not (isinstance(before, str) and isinstance(path, str)):
        return
    base = Path(run.record.cwd or "")
    same = path == before if "data.path" not in typed else _is_same(before, base, path)
    if same:
        if not now.get("validation_path"):
            _check_split(run.id, trained, now)
        return
    held_out = {f"data.{name}" for name in _SPLIT}
    whole = "data.path" in typed and not typed & held_out and _takes(now, "validation_path")
    shared = sorted(files_of(before, base) & files_of(path))
    if shared and (whole or not now.get("validation_path")):
        raise InputError(
            f"data.path={path}: {run.id} was trained on {Path(shared[0]).name} in it; give other data, or measure on "
            f"all of it with data.validation_path={path}"
        )
    if whole:
        now.validation_path = path
        now.path = before if "data" not in typed else path


def files_of(path: str, base: Path | None = None) -> set[str]:
    """Return the files that a path of data means, with links followed; a path that is none, such as a Hub name, itself.

    Args:
        path: A file, a folder, a pattern, or another name of data.
        base: The folder that a relative path refers to; None is the working directory.
    """
    try:
        found = (base or Path.cwd()) / assets.resolve(path)
    except InputError:
        return {path}
    if found.is_dir():
        return {os.path.realpath(found / name) for name in search(found, lambda _: True).files}
    if found.exists():
        return {os.path.realpath(found)}
    return _matches(found.absolute()) or {path}


def _matches(pattern: Path) -> set[str]:
    """Return the files that fit a pattern."""
    root = Path(pattern.anchor)
    try:
        return {os.path.realpath(one) for one in root.glob(str(pattern.relative_to(root))) if one.is_file()}
    except ValueError:  # no pattern
        return set()


def _is_same(before: str, base: Path, now: str) -> bool:
    """Whether two paths mean the same files, or two files with the same content."""
    old, new = files_of(before, base), files_of(now)
    if old == new or len(old) != 1 or len(new) != 1:
        return old == new
    (one,), (other,) = old, new
    return Path(one).is_file() and Path(other).is_file() and filecmp.cmp(one, other, shallow=False)


def _check_split(run_id: str, trained: Mapping[Any, Any], now: Mapping[Any, Any]) -> None:
    """Check that data are split as they were for training.

    Raises:
        InputError: They are not, so that what is held out now was trained on.
    """
    other = "what is held out now was trained on; measure on other data with data.path"
    if trained.get("_target_") != now.get("_target_"):
        raise InputError(f"data._target_: {run_id} was trained on these data by {trained.get('_target_')}, so {other}")
    for key in _split_by(str(now.get("_target_"))):
        value, before = (_given(node, key) for node in (now, trained))
        if value != before:
            raise InputError(f"data.{key}={value}: {run_id} was trained with {before}, so {other}")


def _split_by(target: str) -> Sequence[str]:
    from aigc.config.class_sources import TargetError
    from aigc.config.targets import class_attribute

    try:
        return class_attribute(target, "split_by") or _SPLIT_BY
    except TargetError:
        return _SPLIT_BY


def _given(node: Mapping[Any, Any], key: str) -> Any:
    """Return the value of a parameter of a node, or its default."""
    from aigc.config.class_sources import TargetError
    from aigc.config.targets import signature

    if key in node:
        return node[key]
    try:
        known = signature(str(node.get("_target_"))).parameters.get(key)
    except TargetError:
        return None
    return known.default if known else None


def _takes(node: Mapping[Any, Any], key: str) -> bool:
    from aigc.config.targets import signature

    return key in signature(str(node["_target_"])).parameters

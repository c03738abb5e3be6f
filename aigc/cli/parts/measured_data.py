"""Which data `aigc eval` measures on: nothing that the model was trained on, unless a person asks for it by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.contents import contents_of, files_of, is_same, shared
from aigc.errors import InputError

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
    split = typed & {f"data.{name}" for name in _SPLIT}
    if split and now.get("validation_path"):  # that of the run: a part of the data is asked for instead
        now.validation_path = None
    base = Path(run.record.cwd or "")
    same = _is_same(before, base, path) if typed & {"data", "data.path"} else path == before
    if same:
        if not now.get("validation_path"):
            _check_split(run.id, trained, now)
        return
    whole = "data.path" in typed and not split and _takes(now, "validation_path")
    if (whole or not now.get("validation_path")) and (name := _trained_on(before, base, path)):
        raise InputError(
            f"data.path={path}: {run.id} was trained on {name} in it; give other data, or measure on "
            f"all of it with data.validation_path={path}"
        )
    if whole:
        now.validation_path = path
        now.path = before if "data" not in typed else path


def _is_same(before: str, base: Path, now: str) -> bool:
    """Whether two paths mean the same files, or files with the same content in the same order."""
    old, new = files_of(before, base), files_of(now)
    return old == new or is_same(contents_of(old), contents_of(new))


def _trained_on(before: str, base: Path, now: str) -> str:
    """Return the name of a file that was trained on and is in other data, too; empty if none is."""
    old, new = files_of(before, base), files_of(now)
    if by_path := sorted(set(old) & set(new)):
        return Path(by_path[0]).name
    by_content = shared(contents_of(new), contents_of(old))
    return by_content[0].name if by_content else ""


def _check_split(run_id: str, trained: Mapping[Any, Any], now: Mapping[Any, Any]) -> None:
    """Check that data are split as they were for training.

    Raises:
        InputError: They are not, so that what is held out now was trained on.
    """
    other = "what is held out now was trained on; measure on other data with data.path"
    if trained.get("_target_") != now.get("_target_"):
        raise InputError(f"data._target_: {run_id} was trained on these data by {trained.get('_target_')}, so {other}")
    if own := trained.get("validation_path"):
        raise InputError(
            f"data.validation_path: {run_id} was trained on all of data.path and validated on {own}, so {other}"
        )
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

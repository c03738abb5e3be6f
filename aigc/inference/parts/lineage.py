"""Where the weights of a run began: a pretrained model with its licence, another run, or random numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from aigc.errors import InputError
from aigc.models.pretrained import local_folder
from aigc.runs import Run
from aigc.runs.files import read_mapping

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+", re.ASCII)
_FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---\s*(?:\n|\Z)", re.DOTALL)
_DEEPEST = 32
"""Runs that continue runs are followed so far."""


@dataclass(frozen=True)
class Base:
    """The model that training started from."""

    name: str | None = None
    """What a person calls it, without its folders; None for random weights."""
    hub: str | None = None
    """Its name on the Hub."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """The head of its model card: `license`, `language` and others; empty where it has none."""
    derived: bool = False
    """Whether `name` is the model that it was derived from, as its card says, and not the model itself."""


def base_of(run: Run) -> Base:
    """Return the model that a run started from; of a run that continues another one, the model that one started from.

    Nothing is downloaded: the card of a model on the Hub is read where it is in the cache.
    """
    name: str | None = None
    for _ in range(_DEEPEST):
        path = (run.config.get("model") or {}).get("path")
        if not isinstance(path, str):
            return Base(name)
        folder = local_folder(path)
        earlier = _run_of(path, folder)
        if earlier is None:
            return _base(path, folder)
        name, run = name or f"the run {earlier.id}", earlier
    return Base(name)


def _run_of(path: str, folder: Path | None) -> Run | None:
    """Return the run whose model a path names, as `run:RUN` or as the folder model/."""
    try:
        if path.startswith("run:"):
            return Run.open(path.removeprefix("run:"))
        return Run.open(str(folder.parent)) if folder and (folder.parent / "manifest.json").is_file() else None
    except InputError:  # it was moved or deleted
        return None


def _base(path: str, folder: Path | None) -> Base:
    if folder is None and not HUB_NAME.fullmatch(path):
        file = Path(path)  # a file of weights, or a folder that was moved
        return Base(file.name, card=_card_in(file.expanduser().parent) if file.expanduser().is_file() else {})
    if folder is None:
        return Base(path, path, _cached_card(path))
    card = _card_in(folder)
    hub, parent = _hub_name(folder), card.get("base_model")
    if hub is None and isinstance(parent, str) and HUB_NAME.fullmatch(parent):
        return Base(parent, parent, card, derived=True)
    return Base(hub or folder.resolve().name, hub, card)


def _hub_name(folder: Path) -> str | None:
    """Return the name that older versions of Transformers keep in config.json."""
    try:
        name = read_mapping(folder / "config.json").get("_name_or_path")
    except (OSError, ValueError):
        return None
    return name if isinstance(name, str) and HUB_NAME.fullmatch(name) and not Path(name).exists() else None


def _card_in(folder: Path) -> Mapping[str, Any]:
    return read_card(folder / "README.md")


def _cached_card(name: str) -> Mapping[str, Any]:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "README.md")
    return read_card(Path(found)) if isinstance(found, str) else {}


def read_card(path: Path) -> Mapping[str, Any]:
    """Return the YAML at the head of a model card; empty where there is none that can be read."""
    try:
        head = _FRONT.match(path.read_text(encoding="utf-8"))
        found = yaml.safe_load(head[1]) if head else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}

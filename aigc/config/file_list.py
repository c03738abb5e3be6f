"""The files of a config in the order in which they are merged, as Hydra's defaults lists and overrides name them."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aigc.config.choices import config_files
from aigc.config.defaults import ROOT, find_circle, read_defaults
from aigc.config.locate import conf_folder, search_folders
from aigc.config.problems import ConfigError, Problem
from aigc.config.schema import slot_of
from aigc.config.yaml_files import read_yaml

_MOST_KNOWN = 1000


@dataclass(frozen=True)
class FileList:
    """The files of a config.

    Attributes:
        files: Each config by its path from the top (`data/text`), and the key that it is merged into, empty for none.
        choices: The choice of each group.
        emptied: Slots that a file leaves empty (`override /evaluation: null`), by its config.
    """

    files: tuple[tuple[str, str], ...]
    choices: dict[str, Any]
    emptied: dict[str, list[str]]


_known: dict[tuple[Any, ...], tuple[dict[str, Any], FileList]] = {}
"""Lists by choices and search folders, each with what it depends on: Hydra takes much longer than all that follows."""


def list_files(groups: Sequence[str]) -> FileList:
    """Return the files of the config with these choices, `group=choice` or `~group`.

    Raises:
        ConfigError: A file cannot be read, or a defaults list is wrong.
    """
    key = (*groups, *search_folders())
    if key in _known and all(_shape(config) == shape for config, shape in _known[key][0].items()):
        return _known[key][1]
    found = _ask_hydra(groups)
    depends = [config for config, _ in found.files]
    shapes = {config: _shape(config) for config in [*depends, *_included([*depends, ROOT, *_configs(groups)])]}
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = (shapes, found)
    return found


def _shape(config: str) -> Any:
    """Return what a list of files depends on in one of them; None where there is no such file."""
    paths = config_files(config)
    if not paths:
        return None
    file = read_yaml(paths[0])
    header = re.findall(r"^\s*#\s*@.*$", file.text[:512], re.MULTILINE)
    content = file.value if isinstance(file.value, dict) else {}
    return paths[0], header, repr(content.get("defaults")), bool(content.keys() - {"defaults"})


def _included(configs: list[str]) -> set[str]:
    """Return all configs that some include, directly or by others, also those that do not exist."""
    found: set[str] = set()
    while configs:
        config = configs.pop()
        for file in map(read_yaml, config_files(config)[:1]):
            new = {name for default in read_defaults(file, config) for name in default.configs} - found
            found |= new
            configs += new
    return found | {ROOT}


def _configs(groups: Sequence[str]) -> list[str]:
    """Return the configs that were chosen."""
    chosen = [choice.partition("=") for choice in groups if "=" in choice]
    return [f"{group}/{name}" for group, _, names in chosen for name in re.findall(r"[^\s,\[\]'\"]+", names)]


def _ask_hydra(groups: Sequence[str]) -> FileList:
    from hydra.errors import HydraException
    from hydra.types import RunMode

    try:
        with _loader() as loader:
            defaults = loader.compute_defaults_list(ROOT, list(groups), RunMode.RUN)
    except RecursionError as error:
        raise find_circle([*_configs(groups), ROOT]) or ConfigError([Problem("defaults", str(error))]) from error
    except HydraException as error:
        text = " ".join(str(error).split())
        named = [path for name in (*re.findall(r"'([\w/]+)'", text), *_configs(groups)) for path in config_files(name)]
        located = read_yaml(named[0]).error(text, "defaults") if named else ConfigError([Problem("defaults", text)])
        raise located from error
    files = [
        (default.config_path, default.package or "")
        for default in defaults.defaults
        if default.config_path and not default.config_path.startswith("hydra/") and default.package != "hydra"
    ]
    emptied: dict[str, list[str]] = {}
    for group, set_by in defaults.overrides.override_metadata.items():
        empty = defaults.overrides.known_choices.get(group, "") is None
        if empty and (slot := slot_of(group)) and set_by.containing_config_path:
            emptied.setdefault(set_by.containing_config_path, []).append(slot)
    return FileList(tuple(files), dict(defaults.overrides.known_choices), emptied)


@contextmanager
def _loader() -> Iterator[Any]:
    """Open Hydra's config loader over our search path; restore the caller's Hydra state afterwards."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from aigc.config.search_path import CheckedFiles, SearchFolders

    Plugins.instance().register(CheckedFiles)
    Plugins.instance().register(SearchFolders)
    with SearchFolders.active(), initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="aigc"):
        yield GlobalHydra.instance().config_loader()

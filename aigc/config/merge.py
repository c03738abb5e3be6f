"""The files of a config, merged in the order of Hydra's defaults list."""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from aigc.config.choices import config_files
from aigc.config.defaults import find_circle
from aigc.config.locate import conf_folder, shown_path
from aigc.config.origins import Origins
from aigc.config.problems import ConfigError, Problem
from aigc.config.replaced import Replaced, drop_untaken, left_out
from aigc.config.schema import slots
from aigc.config.yaml_files import read_yaml

ROOT = "train"


@contextmanager
def hydra_loader() -> Iterator[Any]:
    """Open Hydra's config loader over our search path; restore the caller's Hydra state afterwards."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from aigc.config.search_path import CheckedFiles, SearchFolders

    Plugins.instance().register(CheckedFiles)
    Plugins.instance().register(SearchFolders)
    with SearchFolders.active(), initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="aigc"):
        yield GlobalHydra.instance().config_loader()


def merge_files(
    loader: Any, groups: list[str], replaced: Mapping[str, Replaced]
) -> tuple[DictConfig, Origins, dict[str, str]]:
    """Merge the files of Hydra's defaults list; keys of an experiment for a choice that was replaced are left out."""
    defaults = _defaults_list(loader, groups)
    cfg, origins = OmegaConf.create({}), Origins()
    emptied = _emptied_slots(defaults.overrides)
    chosen: dict[str, Any] = {}
    for default in defaults.defaults:
        if default.config_path is None or default.config_path.startswith("hydra/") or default.package == "hydra":
            continue
        package = default.package or ""
        file = read_yaml(config_files(default.config_path)[0])
        loaded = _below(file.config(), package)
        for slot in emptied.get(default.config_path, ()):
            cfg.pop(slot, None)  # keys of the files before this one belong to what it leaves out
            origins.emptied(slot, file)
        origins.read(file, package)
        if default.config_path.startswith("experiment/"):
            if not chosen:  # before the first of an experiment's files
                chosen = {slot: copy.deepcopy(cfg.get(slot)) for slot in replaced}
            _leave_out(loaded, replaced, chosen, origins)
        _drop_replaced(cfg, loaded)
        cfg.merge_with(loaded)
    return cfg, origins, dict(defaults.overrides.known_choices)


def _defaults_list(loader: Any, groups: list[str]) -> Any:
    """Return Hydra's list of the files to merge."""
    from hydra.errors import HydraException
    from hydra.types import RunMode

    try:
        return loader.compute_defaults_list(ROOT, groups, RunMode.RUN)
    except RecursionError as error:
        chosen = [choice.replace("=", "/", 1) for choice in groups if "=" in choice]
        raise find_circle([*chosen, ROOT]) or ConfigError([Problem("defaults", str(error))]) from error
    except HydraException as error:
        text = " ".join(str(error).split())
        named = [path for name in re.findall(r"'([\w/]+)'", text) for path in config_files(name)]
        raise ConfigError([Problem("defaults", text, f"{shown_path(named[0])}:1" if named else "")]) from error


def _emptied_slots(overrides: Any) -> dict[str, list[str]]:
    """Return the slots that defaults lists leave empty (`override /evaluation: null`) by the config that does so."""
    emptied: dict[str, list[str]] = {}
    for group, set_by in overrides.override_metadata.items():
        if overrides.known_choices.get(group, "") is None and group in slots() and set_by.containing_config_path:
            emptied.setdefault(set_by.containing_config_path, []).append(group)
    return emptied


def _leave_out(
    loaded: DictConfig, replaced: Mapping[str, Replaced], chosen: Mapping[str, Any], origins: Origins
) -> None:
    """Leave out what an experiment sets for choices that were replaced, of which `chosen` has the new ones."""
    for slot, one in replaced.items():
        section = loaded._get_node(slot)
        if isinstance(section, DictConfig) and not section._is_none() and not section._is_interpolation():
            plain = OmegaConf.to_container(section, resolve=False)
            assert isinstance(plain, dict)
            for key in left_out(slot, one.before, chosen[slot], plain):
                parent, _, name = f"{slot}.{key}".rpartition(".")
                del OmegaConf.select(loaded, parent)[name]
                origins.leave_out(f"{slot}.{key}", one.choice)


def _drop_replaced(cfg: DictConfig, loaded: DictConfig) -> None:
    """Drop what cannot stay: keys that another class does not take, and lists for mappings or the reverse.

    OmegaConf cannot merge a list and a mapping; `check` reports one in a wrong place.
    """
    target = loaded.get("_target_") if "_target_" in loaded else None
    if target is not None and "_target_" in cfg and cfg["_target_"] != target:
        drop_untaken(cfg, target)
    for name in list(loaded):
        new, old = loaded._get_node(name), cfg._get_node(name)
        if isinstance(new, DictConfig) and isinstance(old, DictConfig):
            if not new._is_none() and not new._is_interpolation() and not old._is_none():
                _drop_replaced(old, new)
        elif {type(new), type(old)} == {DictConfig, ListConfig}:
            del cfg[name]


def _below(loaded: DictConfig, package: str) -> DictConfig:
    """Return the keys of a file below the key that it is merged into."""
    loaded.pop("defaults", None)
    for name in reversed(package.split(".") if package else []):
        loaded = OmegaConf.create({name: loaded})
    return loaded

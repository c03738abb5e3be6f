"""Composition of configs: Hydra's defaults list and override grammar, merged so that keys keep file and line."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config.check import find_problems
from aigc.config.choices import config_files, group_choices
from aigc.config.defaults import find_circle
from aigc.config.locate import conf_folder, search_folders, shown_path
from aigc.config.origins import COMMAND_LINE, Origins, set_origins
from aigc.config.overrides import apply_override, parse_overrides
from aigc.config.problems import ConfigError, Problem, nearest
from aigc.config.schema import Config, fields_of, sections, slots
from aigc.config.yaml_files import read_yaml

ROOT = "train"


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose the config of one run: `conf/train.yaml`, its defaults list, and what was typed.

    Args:
        overrides: Hydra's override grammar (`experiment=lm/couplets`, `trainer.max_steps=10`, `~logger.wandb`).

    Returns:
        The composed config, interpolations unresolved; `check` checks it.

    Raises:
        ConfigError: A group choice that does not exist, or an override or file that does not parse.
    """
    return Composer().compose(overrides)


class Composer:
    """Composer of many configs, which reads files once for each set of group choices."""

    def __init__(self) -> None:
        self._merged: dict[tuple[str, ...], tuple[DictConfig, Origins, dict[str, str]]] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Compose a config as the function `compose` does."""
        parsed = parse_overrides(overrides)
        groups = [o for o in parsed if _is_group(o)]
        problems = _wrong_choices(groups)
        wrong = {problem.key for problem in problems}
        right = tuple(_choice(o) for o in groups if o.key_or_group not in wrong)
        cfg, origins, choices = copy.deepcopy(self._files(right))
        if "experiment" in choices and not any(o.key_or_group == "experiment" for o in groups):
            origins.implied = _experiment_file(choices)
        return _finished(cfg, origins, choices, [o for o in parsed if o not in groups], problems)

    def choices(self, overrides: Sequence[str]) -> dict[str, str]:
        """Return the choice of each config group, typed or from a defaults list."""
        return self._files(tuple(_choice(o) for o in parse_overrides(overrides) if _is_group(o)))[2]

    def _files(self, groups: tuple[str, ...]) -> tuple[DictConfig, Origins, dict[str, str]]:
        if groups not in self._merged:
            with _hydra_loader() as loader:
                self._merged[groups] = _merge_files(loader, list(groups))
        return self._merged[groups]


def _finished(
    cfg: DictConfig, origins: Origins, choices: dict[str, str], overrides: list[Any], problems: list[Problem]
) -> DictConfig:
    """Return the config with keys set as typed, the experiment's name, and all defaults."""
    for override in overrides:
        try:
            apply_override(cfg, override)
        except OmegaConfBaseException as error:
            problems.append(Problem(override.key_or_group, str(error).splitlines()[0], COMMAND_LINE))
        origins.typed(override.key_or_group, override.input_line)
    if "experiment" not in cfg:
        cfg.experiment = choices.get("experiment") or ROOT
    elif isinstance(cfg.get("experiment"), DictConfig):
        what = "an experiment's first line must be `# @package _global_`, or its keys do not reach their sections"
        problems.append(Problem("experiment", what, f"{_experiment_file(choices)}:1"))
        cfg.experiment = ROOT
    fill_defaults(cfg)
    set_origins(cfg, origins)
    if problems:
        raise ConfigError([*problems, *find_problems(cfg)])
    return cfg


def _experiment_file(choices: Mapping[str, str]) -> str:
    paths = [folder / f"experiment/{choices.get('experiment')}.yaml" for folder in search_folders()]
    return shown_path(next((path for path in paths if path.is_file()), paths[0]))


def override(cfg: DictConfig, overrides: Sequence[str], allowed: Sequence[str]) -> DictConfig:
    """Copy a frozen config and change some keys; `group=choice` replaces that whole section.

    Args:
        cfg: A run's config.
        overrides: As for `compose`.
        allowed: The sections that may be changed.

    Raises:
        ConfigError: As `compose`, and for a key of another section.
    """
    changed = OmegaConf.create(OmegaConf.to_container(cfg, resolve=False))
    assert isinstance(changed, DictConfig)
    origins = Origins()
    parsed = parse_overrides(overrides)
    groups = [o for o in parsed if _is_group(o)]
    refused = [o for o in parsed if o.key_or_group.split(".")[0] not in allowed]
    if refused:
        what = f"cannot be changed for a trained model; allowed: {', '.join(allowed)}"
        raise ConfigError([Problem(o.key_or_group, what, f"{COMMAND_LINE}: {o.input_line}") for o in refused])
    if groups:
        fresh = compose([_choice(o) for o in groups])
        for o in groups:
            changed[o.key_or_group] = fresh[o.key_or_group]
    for o in parsed:
        if o not in groups:
            apply_override(changed, o)
        origins.typed(o.key_or_group, o.input_line)
    set_origins(changed, origins)
    return changed


@contextmanager
def _hydra_loader() -> Iterator[Any]:
    """Open Hydra's config loader over our search path; restore the caller's Hydra state afterwards."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from aigc.config.search_path import CheckedFiles, SearchFolders

    Plugins.instance().register(CheckedFiles)
    Plugins.instance().register(SearchFolders)
    with SearchFolders.active(), initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="aigc"):
        yield GlobalHydra.instance().config_loader()


def _is_group(override: Any) -> bool:
    """Whether an override chooses from a group; `group=null` empties a section, and chooses no preset."""
    group = override.key_or_group
    fills_section = group in slots() or group in sections()
    chooses = override.is_delete() or override.value() is not None or not fills_section
    return chooses and group in group_choices()


def _choice(override: Any) -> str:
    """Return the choice in Hydra's grammar, whose defaults lists accept no `group=null`."""
    none = not override.is_delete() and override.value() is None
    return f"~{override.key_or_group}" if none else str(override.input_line)


def _wrong_choices(groups: list[Any]) -> list[Problem]:
    known = group_choices()
    problems = []
    for override in groups:
        if override.is_delete() or override.value() is None:
            continue
        group, value = override.key_or_group, override.value()
        for choice in value if isinstance(value, list) else [value]:
            if str(choice) not in known[group]:
                near = nearest(str(choice), known[group])
                meant = f"did you mean {near}? " if near else ""
                what = f"no choice {choice!r}; {meant}choices: {', '.join(known[group])}"
                problems.append(Problem(group, what, f"{COMMAND_LINE}: {override.input_line}"))
    return problems


def _merge_files(loader: Any, groups: list[str]) -> tuple[DictConfig, Origins, dict[str, str]]:
    defaults = _defaults_list(loader, groups)
    cfg, origins = OmegaConf.create({}), Origins()
    emptied = _emptied_slots(defaults.overrides)
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


def _drop_replaced(cfg: DictConfig, loaded: DictConfig) -> None:
    """Drop lists that a mapping replaces and the reverse, as OmegaConf cannot merge them; `check` follows."""
    for name in list(loaded):
        new, old = loaded._get_node(name), cfg._get_node(name)
        if isinstance(new, DictConfig) and isinstance(old, DictConfig):
            if not new._is_none() and not new._is_interpolation() and not old._is_none():
                _drop_replaced(old, new)
        elif {type(new), type(old)} == {DictConfig, ListConfig}:
            del cfg[name]


def fill_defaults(cfg: DictConfig) -> None:
    """Set keys that no file names to the default of their dataclass."""
    for key, parameter in fields_of(Config).parameters.items():
        if not parameter.required and key not in cfg:
            cfg[key] = parameter.default
    for key, fields in sections().items():
        section = cfg.get(key) if key in cfg else {}
        if isinstance(section, Mapping):
            defaults = {name: p.default for name, p in fields.parameters.items() if not p.required}
            cfg[key] = OmegaConf.merge(defaults, section)  # set values win, also an interpolation that fails


def _below(loaded: DictConfig, package: str) -> DictConfig:
    """Return the keys of a file below the key that it is merged into."""
    loaded.pop("defaults", None)
    for name in reversed(package.split(".") if package else []):
        loaded = OmegaConf.create({name: loaded})
    return loaded

"""Composition of configs: Hydra's defaults list and override grammar, merged so that keys keep file and line."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config.check import find_problems
from aigc.config.choices import group_choices, misnamed
from aigc.config.defaults import ROOT
from aigc.config.interpolations import oversized
from aigc.config.locate import search_folders, shown_path
from aigc.config.merge import merge_files
from aigc.config.origins import COMMAND_LINE, Origins, set_origins
from aigc.config.overrides import apply_override, parse_overrides
from aigc.config.problems import ConfigError, Problem, nearest
from aigc.config.references import reason
from aigc.config.replaced import Replaced, drop_untaken, written_target
from aigc.config.schema import INNER_SLOTS, Config, fields_of, is_single, sections, slot_of, slots
from aigc.config.types import shown


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
        names_experiment = any(o.key_or_group == "experiment" for o in groups)
        chosen = right if names_experiment else self._with_fitting_experiment(right)
        cfg, origins, choices = copy.deepcopy(self._files(chosen))
        if chosen != right:
            default = self._files(())[2]["experiment"]
            taken = f"takes experiment={choices['experiment']}" if choices.get("experiment") else "leaves it out"
            origins.note(f"the default experiment is {default}; another choice of data or task {taken}")
        return _finished(cfg, origins, choices, [o for o in parsed if o not in groups], problems)

    def choices(self, overrides: Sequence[str]) -> dict[str, str]:
        """Return the choice of each config group, typed or from a defaults list."""
        groups = [o for o in parse_overrides(overrides) if _is_group(o)]
        typed = tuple(map(_choice, groups))
        named = any(o.key_or_group == "experiment" for o in groups)
        return self._files(typed if named else self._with_fitting_experiment(typed))[2]

    def _with_fitting_experiment(self, groups: tuple[str, ...]) -> tuple[str, ...]:
        """Return the choices with the experiment to take where none is typed.

        The default experiment has the settings of its own task and data. With other data it gives way to the experiment
        in its folder that is named as the data, if there is one.
        """
        choices = self._files(())[2]
        chosen = {group: choice for group, _, choice in (one.partition("=") for one in groups)}
        other = {group for group in ("data", "task") if chosen.get(group, choices.get(group)) != choices.get(group)}
        default = choices.get("experiment")
        if not other or not default:
            return groups
        fitting = f"{default.rpartition('/')[0]}/{chosen.get('data')}"
        found = "task" not in other and fitting in group_choices()["experiment"]
        return (*groups, f"experiment={fitting}" if found else "~experiment")

    def _files(self, groups: tuple[str, ...]) -> tuple[DictConfig, Origins, dict[str, str]]:
        if groups not in self._merged:
            self._merged[groups] = merge_files(groups, self._replaced(groups))
        return self._merged[groups]

    def _replaced(self, groups: tuple[str, ...]) -> dict[str, Replaced]:
        """Return the slots whose choice differs from the one that the config has where none is typed for a slot."""
        typed = {group: one for one in groups if slot_of(group := one.partition("=")[0]) and "=" in one}
        if not typed:
            return {}
        before, _, choices = self._files(tuple(one for one in groups if one not in typed.values()))
        other = {group: one for group, one in typed.items() if one != f"{group}={choices.get(group)}"}
        places = {str(slot_of(group)): one for group, one in other.items()}
        return {slot: Replaced(one, OmegaConf.select(before, slot)) for slot, one in places.items()}


def _finished(
    cfg: DictConfig, origins: Origins, choices: dict[str, str], overrides: list[Any], problems: list[Problem]
) -> DictConfig:
    """Return the config with keys set as typed, the experiment's name, and all defaults."""
    typed = {override.key_or_group for override in overrides}
    for override in overrides:
        if inner := INNER_SLOTS.get(override.key_or_group):  # adapter=null or ~adapter
            OmegaConf.update(cfg, inner, None, force_add=True)
            origins.typed(inner, override.input_line)
            continue
        try:
            _replace_class(cfg, override, typed, origins)
            apply_override(cfg, override)
        except OmegaConfBaseException as error:
            problems.append(Problem(override.key_or_group, reason(error), COMMAND_LINE))
        origins.typed(override.key_or_group, override.input_line)
    if found := oversized(cfg):
        raise ConfigError([*problems, Problem(*found, origins.of(found[0]))])
    if "experiment" not in cfg:
        cfg.experiment = choices.get("experiment") or (choices.get("data") if origins.notes else None) or ROOT
    elif isinstance(cfg._get_node("experiment"), DictConfig):
        what = "an experiment's first line must be `# @package _global_`, or its keys do not reach their sections"
        problems.append(Problem("experiment", what, f"{_experiment_file(choices)}:1"))
        cfg.experiment = ROOT
    fill_defaults(cfg)
    set_origins(cfg, origins)
    if problems:
        raise ConfigError([*problems, *find_problems(cfg)])
    return cfg


def _replace_class(cfg: DictConfig, override: Any, typed: set[str], origins: Origins) -> None:
    """Drop keys that files set for the class of a node, where another class that was typed does not take them."""
    above, _, name = override.key_or_group.rpartition(".")
    node = OmegaConf.select(cfg, above) if name == "_target_" and above and not override.is_delete() else None
    if not isinstance(node, DictConfig) or written_target(node) == override.value():
        return
    kept = [key for key in map(str, node) if f"{above}.{key}" in typed]
    for key in drop_untaken(node, override.value(), kept):
        origins.leave_out(f"{above}.{key}", override.input_line)


def _experiment_file(choices: Mapping[str, str]) -> str:
    paths = [folder / f"experiment/{choices.get('experiment')}.yaml" for folder in search_folders()]
    return shown_path(next((path for path in paths if path.is_file()), paths[0]))


def override(cfg: DictConfig, overrides: Sequence[str], allowed: Sequence[str]) -> DictConfig:
    """Copy a frozen config and change some keys.

    `group=choice` replaces the whole section of a slot; in any other section it sets what the choice itself sets.

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
        plain = compose(["experiment=null"])  # an experiment's settings belong to other runs
        fresh = compose(["experiment=null", *(_choice(o) for o in groups)])
        for o in groups:
            key = o.key_or_group
            whole = key in slots()
            changed[key] = fresh[key] if whole else OmegaConf.merge(changed[key], _differing(fresh[key], plain[key]))
    for o in parsed:
        if o not in groups:
            apply_override(changed, o)
        origins.typed(o.key_or_group, o.input_line)
    set_origins(changed, origins)
    return changed


def _differing(section: DictConfig, plain: DictConfig) -> dict[Any, Any]:
    """Return the keys of a section that differ from those of another one."""
    new, old = (OmegaConf.to_container(one, resolve=False) for one in (section, plain))
    assert isinstance(new, dict)
    assert isinstance(old, dict)
    return {key: value for key, value in new.items() if key not in old or value != old[key]}


def _is_group(override: Any) -> bool:
    """Whether an override chooses from a group; `group=null` empties a section, and chooses no preset."""
    group = override.key_or_group
    if group in INNER_SLOTS:
        return not override.is_delete() and override.value() is not None
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
        if isinstance(value, list) and len(value) > 1 and is_single(group):
            what = f"{len(value)} choices, and there is one {group}; `aigc sweep` tries several: {group}=a,b"
            problems.append(Problem(group, what, f"{COMMAND_LINE}: {override.input_line}"))
            continue
        for choice in value if isinstance(value, list) else [value]:
            if str(choice) not in known[group]:
                near = nearest(str(choice), known[group])
                meant = f"did you mean {near}? " if near else ""
                meant = f"{other}; " if (other := misnamed(f"{group}/{choice}")) else meant
                what = f"no choice {shown(choice)}; {meant}choices: {', '.join(known[group])}"
                problems.append(Problem(group, what, f"{COMMAND_LINE}: {override.input_line}"))
    return problems


def fill_defaults(cfg: DictConfig) -> None:
    """Set keys that no file names to the default of their dataclass."""
    for key, parameter in fields_of(Config).parameters.items():
        if not parameter.required and key not in cfg:
            cfg[key] = parameter.default
    for key, fields in sections().items():
        try:
            section = cfg.get(key) if key in cfg else {}
        except OmegaConfBaseException:
            continue  # an interpolation in place of the section; `check` reports it
        if isinstance(section, Mapping):
            defaults = {name: p.default for name, p in fields.parameters.items() if not p.required}
            given = OmegaConf.to_container(section, resolve=False) if isinstance(section, DictConfig) else section
            cfg[key] = {**defaults, **given}  # type: ignore[dict-item]

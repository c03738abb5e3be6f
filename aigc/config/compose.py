"""Composition: Hydra's defaults list and override grammar, merged here so that every key keeps its file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config.locate import conf_folder, search_folders, shown_path
from aigc.config.origins import COMMAND_LINE, Origins, key_lines
from aigc.config.problems import ConfigError, Problem, suggest

ROOT = "train"


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """The config of one run: `conf/train.yaml`, its defaults list, and what was typed.

    Args:
        overrides: Hydra's override grammar (`experiment=lm/couplets`, `trainer.max_steps=10`, `~logger.wandb`).

    Returns:
        The composed config, interpolations unresolved; `check` tells whether it is right.

    Raises:
        ConfigError: A group choice that does not exist, or an override or file that does not parse.
    """
    with _hydra_loader() as loader:
        parsed = _parse(overrides)
        groups = [o for o in parsed if _is_group(loader, o)]
        problems = _wrong_choices(groups)
        wrong = {problem.key for problem in problems}
        right = [o.input_line for o in groups if o.key_or_group not in wrong]
        cfg, origins, choices = _merge_files(loader, right)
    for override in parsed:
        if override not in groups:
            try:
                _apply(cfg, override)
            except OmegaConfBaseException as error:
                problems.append(Problem(override.key_or_group, str(error).splitlines()[0], COMMAND_LINE))
            origins.typed(override.key_or_group, override.input_line)
    if "experiment" not in cfg:
        cfg.experiment = choices.get("experiment") or ROOT
    elif isinstance(cfg.get("experiment"), DictConfig):
        what = "an experiment's first line must be `# @package _global_`, or its keys do not reach their sections"
        paths = [folder / f"experiment/{choices.get('experiment')}.yaml" for folder in search_folders()]
        path = next((path for path in paths if path.is_file()), paths[0])
        problems.append(Problem("experiment", what, f"{shown_path(path)}:1"))
        cfg.experiment = ROOT
    _fill_defaults(cfg)
    set_origins(cfg, origins)
    if problems:
        from aigc.config.check import find_problems

        raise ConfigError([*problems, *find_problems(cfg)])
    return cfg


def origins_of(cfg: DictConfig) -> Origins:
    """Where the keys of a composed config were set; empty for a config that was not composed here."""
    found = cfg.__dict__.get("_aigc_origins")
    return found if isinstance(found, Origins) else Origins()


def set_origins(cfg: DictConfig, origins: Origins) -> None:
    """Keep the places beside the config; OmegaConf itself has no room for them."""
    cfg.__dict__["_aigc_origins"] = origins


def override(cfg: DictConfig, overrides: Sequence[str], allowed: Sequence[str]) -> DictConfig:
    """A copy of a frozen config with some keys set anew; `group=choice` replaces that whole section.

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
    parsed = _parse(overrides)
    with _hydra_loader() as loader:
        groups = [o for o in parsed if _is_group(loader, o)]
    refused = [o for o in parsed if o.key_or_group.split(".")[0] not in allowed]
    if refused:
        what = f"cannot be changed for a trained model; allowed: {', '.join(allowed)}"
        raise ConfigError([Problem(o.key_or_group, what, f"{COMMAND_LINE}: {o.input_line}") for o in refused])
    if groups:
        fresh = compose([o.input_line for o in groups])
        for o in groups:
            changed[o.key_or_group] = fresh[o.key_or_group]
    for o in parsed:
        if o not in groups:
            _apply(changed, o)
        origins.typed(o.key_or_group, o.input_line)
    set_origins(changed, origins)
    return changed


def group_choices() -> dict[str, list[str]]:
    """Every config group with its choices, as in `conf/<group>/<choice>.yaml`; a person's own included."""
    choices: dict[str, set[str]] = {}
    for folder in search_folders():
        for path in folder.rglob("*.yaml"):
            parts = path.relative_to(folder).with_suffix("").parts
            if len(parts) > 1:
                choices.setdefault(parts[0], set()).add("/".join(parts[1:]))
    return {group: sorted(names) for group, names in sorted(choices.items())}


@contextmanager
def _hydra_loader() -> Iterator[Any]:
    """Hydra's config loader over our search path; whatever Hydra state the caller has is put back."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins

    from aigc.config.search_path import OwnConfFirst

    Plugins.instance().register(OwnConfFirst)
    with OwnConfFirst.active(), initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="aigc"):
        yield GlobalHydra.instance().config_loader()


def _parse(overrides: Sequence[str]) -> list[Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed, problems = [], []
    for text in overrides:
        try:
            one = _parse_or_quote(parser, text)
        except HydraException as error:
            why = str(error).splitlines()[0]
            problems.append(Problem("", f"cannot read {text!r}: {why}; expected key=value", COMMAND_LINE))
            continue
        if one.is_sweep_override():
            problems.append(Problem(one.key_or_group, f"several values ({text}): a run takes one", COMMAND_LINE))
        parsed.append(one)
    if problems:
        raise ConfigError(problems)
    return parsed


def _parse_or_quote(parser: Any, text: str) -> Any:
    """Hydra's grammar knows Latin letters only outside quotes; paths and texts have others, `~`, and more."""
    from hydra.errors import HydraException

    try:
        return parser.parse_override(text)
    except HydraException:
        key, equals, value = text.partition("=")
        if not equals or value[:1] in tuple("[{\"'") or "${" in value:
            raise
        if not key:
            raise
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return parser.parse_override(f"{key}='{quoted}'")


def _is_group(loader: Any, override: Any) -> bool:
    """Whether an override chooses from a group; `group=null` empties the section instead."""
    key = override.key_or_group
    chooses = override.is_delete() or override.value() is not None
    return "." not in key and chooses and bool(loader.get_group_options(key, results_filter=None))


def _wrong_choices(groups: list[Any]) -> list[Problem]:
    known = group_choices()
    problems = []
    for override in groups:
        if override.is_delete():
            continue
        group, value = override.key_or_group, override.value()
        for choice in value if isinstance(value, list) else [value]:
            if str(choice) not in known[group]:
                what = f"no choice {choice!r}; choices: {', '.join(known[group])}"
                problems.append(Problem(group, what, f"{COMMAND_LINE}: {override.input_line}"))
    return problems


def _merge_files(loader: Any, groups: list[str]) -> tuple[DictConfig, Origins, dict[str, str]]:
    from hydra.errors import HydraException, MissingConfigException
    from hydra.types import RunMode

    try:
        defaults = loader.compute_defaults_list(ROOT, groups, RunMode.RUN)
    except MissingConfigException as error:
        options = [str(option) for option in error.options or []]
        missing = str(error.missing_cfg_file)
        what = f"no config {missing!r}; {suggest(missing.rpartition('/')[2], options)}"
        raise ConfigError([Problem("defaults", what, _defaults_origin(missing))]) from error
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise _unreadable(error) from error
    except HydraException as error:
        raise _no_such_group(error) from error
    cfg, origins = OmegaConf.create({}), Origins()
    for default in defaults.defaults:
        if default.config_path is None or default.config_path.startswith("hydra/") or default.package == "hydra":
            continue
        package = default.package or ""
        path = _yaml_files(loader, default.config_path)[0]
        try:
            loaded = _load(path, package)
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise _unreadable(error) from error
        origins.read(path, package)
        cfg.merge_with(loaded)
    return cfg, origins, dict(defaults.overrides.known_choices)


def _fill_defaults(cfg: DictConfig) -> None:
    """Keys that no file names take the default of their dataclass."""
    from aigc.config.schema import Config, fields_of, sections

    for key, parameter in fields_of(Config).parameters.items():
        if not parameter.required and key not in cfg:
            cfg[key] = parameter.default
    for key, fields in sections().items():
        section = cfg.get(key) if key in cfg else {}
        if isinstance(section, Mapping):
            missing = {n: p.default for n, p in fields.parameters.items() if not p.required and not _names(section, n)}
            cfg[key] = OmegaConf.merge(missing, section)


def _names(section: Mapping[Any, Any], name: str) -> bool:
    """Whether the key stands there, even if its interpolation fails."""
    return name in list(section.keys())


def _load(path: Path, package: str) -> DictConfig:
    loaded = OmegaConf.load(path)
    if not isinstance(loaded, DictConfig):
        raise ConfigError([Problem("", "a config file holds keys and values, not a list", str(path))])
    loaded.pop("defaults", None)
    for name in reversed(package.split(".") if package else []):
        loaded = OmegaConf.create({name: loaded})
    return loaded


def _unreadable(error: Exception) -> ConfigError:
    """A file that does not load, with its place; OmegaConf's own error does not name the file, so it is sought."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        place = f"{shown_path(Path(mark.name))}:{mark.line + 1}:{mark.column + 1}"
        return ConfigError([Problem("", f"this is no valid YAML: {error.problem}", place)])
    for folder in search_folders():
        for path in sorted(folder.rglob("*.yaml")):
            try:
                OmegaConf.load(path)
            except OmegaConfBaseException as cause:
                place = f"{shown_path(path)}:{dict(key_lines(path)).get(cause.full_key or '', 1)}"
                return ConfigError([Problem(cause.full_key or "", str(cause).splitlines()[0], place)])
            except (yaml.YAMLError, UnicodeDecodeError):
                continue  # another file's fault is not this one's
    return ConfigError([Problem("", str(error).splitlines()[0])])


def _no_such_group(error: Exception) -> ConfigError:
    """`override /modle: gpt2` in a defaults list."""
    text = " ".join(str(error).split())
    found = re.search(r"In '([^']+)': Could not override '/?([^'@]+)", text)
    if found is None:
        return ConfigError([Problem("defaults", text)])
    group, origin = found.group(2), ""
    for folder in search_folders():
        path = folder / f"{found.group(1)}.yaml"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        numbers = [number for number, line in enumerate(lines, 1) if f"/{group}" in line or f"override {group}" in line]
        if numbers:
            origin = f"{shown_path(path)}:{numbers[0]}"
            break
    return ConfigError(
        [Problem("defaults", f"no group {group!r} to override; {suggest(group, group_choices())}", origin)]
    )


def _yaml_files(loader: Any, config_path: str) -> list[Path]:
    paths = [Path(source.path) / f"{config_path}.yaml" for source in loader.get_sources() if source.scheme() == "file"]
    return [path for path in paths if path.is_file()]


def _defaults_origin(missing: str) -> str:
    """The file and line of a defaults list that names a config which does not exist."""
    group, _, choice = missing.rpartition("/")
    for folder in search_folders():
        for path in sorted(folder.rglob("*.yaml")):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if (
                    choice in line
                    and group.rpartition("/")[2] in line
                    and ":" in line
                    and line.lstrip().startswith("-")
                ):
                    return f"{shown_path(path)}:{number}"
    return ""


def _apply(cfg: DictConfig, override: Any) -> None:
    key = override.key_or_group
    if override.is_delete():
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        if node is not None and name in node:
            del node[name]
        else:
            raise ConfigError([Problem(key, "no such key to delete", f"{COMMAND_LINE}: {override.input_line}")])
    else:
        # An unknown key is added here and refused by `check`, which knows the nearest right name.
        OmegaConf.update(cfg, key, override.value(), merge=True, force_add=True)

"""Defaults lists of config files, checked before Hydra follows them, as its errors name no file and line."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aigc.config.choices import config_files, group_choices, misnamed
from aigc.config.problems import ConfigError, nearest, suggest
from aigc.config.schema import is_single
from aigc.config.types import shown
from aigc.config.yaml_files import YamlFile, read_yaml
from aigc.printing import plural

ROOT = "train"
_NAME = r"(?!\.{1,2}(?:/|$))(?:[^\s/@:,\[\]{}$]|\$\{[\w/@.]+\})+"
_PATH = rf"{_NAME}(?:/{_NAME})*"
_PACKAGE = r"(?:@[\w.$]+)?"
_CONFIG = re.compile(rf"/?{_PATH}{_PACKAGE}")
_GROUP = re.compile(rf"(?:(?:optional|override) )*/?{_PATH}{_PACKAGE}")
_CHOICE = re.compile(_PATH)
_ITEM = "an item is `- group: choice`, `- override /group: choice`, `- /path/of/a/config` or `- _self_`"


@dataclass(frozen=True)
class Default:
    """One item of a defaults list.

    Attributes:
        line: Its line in the file.
        group: The group that it chooses from, from the top; None for an item that names a config.
        configs: The configs that it includes, from the top; those that depend on other choices are left out.
        override: Whether it replaces a choice that another file has made.
        optional: Whether a config may be missing.
    """

    line: int
    group: str | None
    configs: tuple[str, ...]
    override: bool = False
    optional: bool = False


def check_defaults(file: YamlFile, config: str) -> None:
    """Check the defaults list of a file.

    Args:
        file: The file.
        config: Its path below the search folder, without the ending: `experiment/lm/mine`.

    Raises:
        ConfigError: The list or an item has a wrong form, or names a config or a group that does not exist.
    """
    for default in read_defaults(file, config):
        own = config.partition("/")[0]
        if default.group == own and not default.override and "/" in config:
            chosen = f": - {default.configs[0].removeprefix(f'{own}/')}" if default.configs else ""
            what = f"this includes the group itself; to begin with another of its configs{chosen}"
            raise file.error(what, "defaults", default.line)
        if default.group is not None and len(default.configs) > 1 and is_single(default.group):
            raise file.error(f"there is one {default.group}, and these are several", "defaults", default.line)
        if default.group is not None and default.override and default.group not in group_choices():
            what = f"no group {shown(default.group)} to override; {suggest(default.group, group_choices())}"
            raise file.error(what, "defaults", default.line)
        if default.group in _root_groups() and not default.override and config != ROOT:
            what = f"{default.group} has a choice already; write `- override /{default.group}: CHOICE`"
            raise file.error(what, "defaults", default.line)
        if ROOT in default.configs:
            raise file.error(f"{ROOT} is the config that includes all others", "defaults", default.line)
        for name in default.configs:
            if (default.override or not default.optional) and not config_files(name):
                raise file.error(_missing(name, default.group, config), "defaults", default.line)


def read_defaults(file: YamlFile, config: str) -> Iterator[Default]:
    """Yield the items of a file's defaults list that include configs; arguments and errors as of `check_defaults`."""
    items = file.value.get("defaults") if isinstance(file.value, Mapping) else None
    if isinstance(file.value, Mapping) and "defaults" in file.value and not isinstance(items, list):
        raise file.error(f"{shown(items)} is not a list; {_ITEM}", "defaults")
    if [str(item).strip() for item in items or []].count("_self_") > 1:
        raise file.error("_self_ is there twice", "defaults")
    for index, item in enumerate(items or []):
        line = file.lines.get(f"defaults[{index}]", 1)
        wrong = _wrong_form(item)
        if wrong:
            raise file.error(f"{wrong}; {_ITEM}", "defaults", line)
        found = _named(item, config, line) if isinstance(item, str) else _chosen(item, config, line)
        if found is not None:
            yield found


def _root_groups() -> set[str | None]:
    """Return the groups from which the root config chooses."""
    return {default.group for file in map(read_yaml, config_files(ROOT)[:1]) for default in read_defaults(file, ROOT)}


def find_circle(configs: list[str]) -> ConfigError | None:
    """Return the error of configs that include one another without end, if there are any.

    Args:
        configs: Where to begin.
    """
    path: dict[str, ConfigError] = {}
    done: set[str] = set()

    def follow(config: str) -> ConfigError | None:
        for file in map(read_yaml, config_files(config)[:1]):
            for default in read_defaults(file, config):
                for name in default.configs:
                    path[config] = file.error("", "defaults", default.line)
                    if name in path:
                        names = list(path)
                        circle = " → ".join([*names[names.index(name) :], name])
                        what = f"configs include one another: {circle}"
                        return ConfigError([replace(problem, what=what) for problem in path[name].problems])
                    if name not in done and (found := follow(name)):
                        return found
        path.pop(config, None)
        done.add(config)
        return None

    for config in configs:
        if config not in done and (found := follow(config)):
            return found
    return None


def _wrong_form(item: Any) -> str:
    if isinstance(item, Mapping):
        if len(item) != 1:
            return f"{shown(dict(item))} has {plural(len(item), 'key')}, and an item has one"
        [(key, value)] = item.items()
        if not isinstance(key, str) or not _GROUP.fullmatch(key):
            return f"{shown(key)} is not a group"
        names = value if isinstance(value, list) else [value]
        if value is not None and not all(isinstance(name, str) and _is_choice(name) for name in names):
            return f"{shown(value)} is not a choice"
    elif not isinstance(item, str) or not _CONFIG.fullmatch(item) or "???" in item:
        return f"{shown(item)} is not an item"
    texts = [item] if isinstance(item, str) else [str(value) for value in item.values()]
    endings = [ending for text in texts for ending in (".yaml", ".yml") if text.endswith(ending)]
    return f"leave out {endings[0]}" if endings else ""


def _is_choice(name: str) -> bool:
    return _CHOICE.fullmatch(name) is not None and "???" not in name


def _named(item: str, config: str, line: int) -> Default | None:
    """Return an item that names a config; None for `_self_`."""
    path = item.partition("@")[0]
    return None if path == "_self_" else Default(line, None, _known([_from_top(path, config)]))


def _chosen(item: Mapping[str, Any], config: str, line: int) -> Default:
    """Return an item that chooses from a group."""
    [(key, value)] = item.items()
    words = key.split()
    group = _from_top(words[-1].partition("@")[0], config)
    names = [] if value is None else value if isinstance(value, list) else [value]
    return Default(line, group, _known([f"{group}/{name}" for name in names]), "override" in words, "optional" in words)


def _from_top(path: str, config: str) -> str:
    """Return a path from the top of the search folders; it is relative to the folder of its file, or begins with /."""
    folder = config.rpartition("/")[0]
    return path.strip("/") if path.startswith("/") or not folder else f"{folder}/{path}"


def _known(configs: list[str]) -> tuple[str, ...]:
    """Leave out configs that depend on another choice, and those of Hydra itself."""
    return tuple(one for one in configs if "${" not in one and not one.startswith("hydra/"))


def _missing(name: str, group: str | None, own: str) -> str:
    """Return the message of a config that does not exist, named in the defaults list of another one."""
    folder, _, last = name.rpartition("/")
    if near_miss := misnamed(name):
        return f"no config {shown(name)}; {near_miss}"
    if group is not None:
        top, _, rest = group.partition("/")
        known = [one.removeprefix(f"{rest}/") for one in group_choices().get(top, [])]
        return f"no choice {shown(last)} of {group}; {suggest(last, known)}"
    others = [f"{top}/{one}" for top, choices in group_choices().items() for one in choices]
    others = [one for one in others if one != own]
    ending = [one for one in others if name.endswith(f"/{one.partition('/')[2]}")]
    meant = (
        max(ending, key=len) if ending else nearest(name, [one for one in others if one.rpartition("/")[0] == folder])
    )
    return f"no config {shown(name)}" + (
        f"; did you mean /{meant}?" if meant else "; a config of another folder begins with /"
    )

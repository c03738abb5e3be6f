"""Reference of keys: what a config may set, read from schema and sources without importing torch."""

import json
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf

from aigc.config import compose
from aigc.config.choices import group_choices
from aigc.config.class_sources import TargetError
from aigc.config.keys import known_keys
from aigc.config.problems import ConfigError, Problem, suggest
from aigc.config.targets import signature
from aigc.config.trust import how_to_trust, is_trusted
from aigc.config.types import Parameter, allowed


def key_help(key: str, overrides: Sequence[str] = ()) -> str:
    """Return all keys below a key of a config, each with value, allowed values and documentation.

    Args:
        key: A section, a node, or a key.
        overrides: Overrides of the config.

    Raises:
        ConfigError: There is no such key, or the config cannot be composed.
    """
    cfg = compose(overrides)
    known = known_keys(cfg)
    found = {name: one for name, one in known.items() if name == key or name.startswith(f"{key}.")}
    choices = group_choices().get(key, [])
    if not found and not choices:
        raise ConfigError([Problem(key, f"no such key; {_meant(key, known)}")])
    lines = [f"choices ({key}=CHOICE): {', '.join(choices)}"] if choices else []
    node = OmegaConf.select(cfg, key, throw_on_missing=False)
    if isinstance(node, Mapping) and "_target_" in node:
        lines.append(f"class: {node['_target_']}")
        lines += _summary(str(node["_target_"]))
    for name, parameter in found.items():
        lines += ["", *_described(name, parameter, OmegaConf.select(cfg, name, throw_on_missing=False))]
    return "\n".join(lines).strip("\n") + "\n"


def _meant(key: str, known: Collection[str]) -> str:
    """Return what may have been meant by a key, of which the first unknown name is compared with those beside it."""
    above, names = "", key.split(".")
    beside = {one.partition(".")[0] for one in known} | group_choices().keys()
    while names[0] in beside:
        above += f"{names.pop(0)}."
        beside = {one.removeprefix(above).partition(".")[0] for one in known if one.startswith(above)}
    if names[0] in group_choices().get(group := above.rstrip("."), []):
        return f"{names[0]} is a choice of {group}: `aigc help {group} {group}={names[0]}`"
    return suggest(names[0], beside, above)


def class_help(target: str) -> str:
    """Return all parameters of a class, with type, default and documentation.

    Raises:
        ConfigError: The class is not trusted, or cannot be found.
    """
    if not is_trusted(target):
        raise ConfigError([Problem(target, how_to_trust(target))])
    try:
        parameters = signature(target).parameters
    except TargetError as error:
        raise ConfigError([Problem(target, str(error))]) from error
    lines = [target, *_summary(target)]
    for name, parameter in parameters.items():
        lines += ["", *_described(name, parameter, None)]
    return "\n".join(lines) + "\n"


def _summary(target: str) -> list[str]:
    """Return the first paragraph of a class's documentation."""
    doc = signature(target).doc.partition("\n\n")[0]
    return textwrap.wrap(" ".join(doc.split()), 110)


def _described(name: str, parameter: Parameter, value: Any) -> Iterator[str]:
    default = "required" if parameter.required else _written(parameter.default) if parameter.known else "computed"
    here = "" if value is None or isinstance(value, Mapping) else _written(value)
    yield f"{name}  [{default}]" + (f"  here: {here}" if here not in ("", default) else "")
    kind = allowed(parameter.type)
    if parameter.type not in (Any, object):
        yield f"    {kind}"
    yield from (f"    {line}" for line in textwrap.wrap(parameter.doc, 110))


def _written(value: Any) -> str:
    """Return a value as it is written in YAML."""
    if OmegaConf.is_list(value):
        value = OmegaConf.to_container(value, resolve=False)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)

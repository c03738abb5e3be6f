"""Check every leaf of a config against the schema and the signatures of targets; report all problems together."""

from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from aigc.config import schema
from aigc.config.choices import group_choices
from aigc.config.class_sources import TargetError
from aigc.config.environment import environment_watched, leak
from aigc.config.fit import fit_problems
from aigc.config.guards import refusals
from aigc.config.interpolations import oversized
from aigc.config.nodes import all_nodes, parameters_in
from aigc.config.origins import Origins, origins_of
from aigc.config.part_names import value_problems
from aigc.config.problems import ConfigError, Problem, suggest
from aigc.config.references import circle, reason, source
from aigc.config.refused import refusal
from aigc.config.sections import section_problems
from aigc.config.targets import Signature, is_subclass, signature
from aigc.config.trust import how_to_trust, is_trusted
from aigc.config.types import MISSING, Parameter, Slot, allowed, mismatches, shown, union_options

_Found = tuple[str, str]
_CIRCULAR = "refers to itself by way of interpolations"


def check(cfg: DictConfig, deep: bool = False) -> None:
    """Check a config, without importing torch unless asked to.

    Args:
        cfg: A config from `compose`, or one read from a run folder.
        deep: Also import every target and compare its class with the base class of its slot.

    Raises:
        ConfigError: Lists every unknown key, wrong type, missing value, failing interpolation and wrong target.
    """
    problems = find_problems(cfg, deep)
    if problems:
        raise ConfigError(problems)


def check_targets(cfg: DictConfig) -> None:
    """Import every target of a config that `check` accepted, and compare its class with the base class of its slot.

    Raises:
        ConfigError: A target that cannot be imported, is not trusted, or has another base.
    """
    problems = _described(cfg, list(_deep_problems(cfg)))
    if problems:
        raise ConfigError(problems)


def find_problems(cfg: DictConfig, deep: bool = False) -> list[Problem]:
    """Return the problems that `check` raises."""
    if large := oversized(cfg):
        return _described(cfg, [large])
    found: list[_Found] = []
    with environment_watched() as reads:
        plain = _plain(cfg, "", found, reads)
    found += _root_problems(plain)
    if not found:
        found += fit_problems(plain)
    if deep and not found:
        found += _deep_problems(cfg)
    return _described(cfg, found)


def _described(cfg: DictConfig, found: list[_Found]) -> list[Problem]:
    """Return problems with the origins of their keys."""
    origins, problems = origins_of(cfg), dict(found)
    described, told = [], set[str]()
    for key, what in problems.items():
        if key in told or _told_at_its_source(cfg, key, problems):
            continue
        if what == _CIRCULAR and (keys := circle(cfg, key)):
            told.update(keys)  # one problem for all keys of the circle
            what = _round_trip(keys, origins)
        described.append(Problem(key, what, origins.of(key)))
    return described


def node_problems(key: str, node: Mapping[str, Any], expect: str) -> list[Problem]:
    """Return the problems of one `_target_` node whose class should derive from `expect`, a dotted path."""
    return [Problem(*found) for found in _node_problems(key, node, Slot(expect))]


def _told_at_its_source(cfg: DictConfig, key: str, problems: Mapping[str, str]) -> bool:
    """Whether a key refers to another one with a problem; not for keys that refer to each other in a circle."""
    named = source(cfg, key)
    passed: list[str | None] = [key]
    while named is not None and named not in passed:
        passed.append(named)
        named = source(cfg, named)
    return named != key and len(passed) > 1 and passed[1] in problems


def _round_trip(keys: list[str], origins: Origins) -> str:
    """Return what is wrong with keys that refer to each other, with where each but the first was set."""
    between = [f"{key} ({origins.of(key)})" if origins.of(key) else key for key in keys[1:-1]]
    return f"{_CIRCULAR}: " + " -> ".join([keys[0], *between, keys[-1]])


def _plain(node: Any, key: str, found: list[_Found], reads: list[str]) -> Any:
    """Return the tree with interpolations resolved; what fails is added to `found` and replaced by MISSING.

    Args:
        node: The tree.
        key: Its full key.
        found: Where problems are added.
        reads: Where the variables that are read are recorded.
    """
    names = range(len(node)) if isinstance(node, ListConfig) else list(node)
    values = {}
    for name in names:
        path = f"{key}[{name}]" if isinstance(node, ListConfig) else (f"{key}.{name}" if key else str(name))
        if OmegaConf.is_missing(node, name):
            found.append((path, "needs a value (it is ??? here)"))
            values[name] = MISSING
            continue
        reads.clear()
        try:
            value = node[name]
        except RecursionError:
            found.append((path, _CIRCULAR))
            values[name] = MISSING
            continue
        except OmegaConfBaseException as error:
            found.append((path, _CIRCULAR if "Recursive interpolation" in str(error) else reason(error)))
            values[name] = MISSING
            continue
        if what := leak(path, reads):
            found.append((path, what))
            value = MISSING  # no message shows it
        values[name] = _plain(value, path, found, reads) if isinstance(value, DictConfig | ListConfig) else value
    return list(values.values()) if isinstance(node, ListConfig) else values


def _root_problems(plain: Mapping[str, Any]) -> Iterator[_Found]:
    root = schema.fields_of(schema.Config)
    sections, slots = schema.sections(), schema.slots()
    groups = group_choices()
    for key in plain:
        if key not in root.parameters:
            section, _, rest = str(key).partition(".")
            nested = f"write it below {section}, as `{rest}:`" if rest and section in root.parameters else ""
            what = f"no such key; {nested or suggest(str(key), root.parameters)}"
            near = [group for group in groups if group in what]
            yield key, what + (f" (choices: {', '.join(groups[near[0]])})" if near and "did you mean" in what else "")
    for key, parameter in root.parameters.items():
        if key not in plain:
            if parameter.required:
                yield key, "missing; " + (f"choose one of {', '.join(groups[key])}" if key in groups else "give it")
        elif key in sections:
            yield from mismatches(key, plain[key], sections[key])
            yield from section_problems(key, plain[key])
        elif key in slots:
            yield from _slot_problems(key, plain[key], slots[key])
            yield from section_problems(key, plain[key])
        else:
            yield from mismatches(key, plain[key], parameter.type)


def _slot_problems(key: str, value: Any, slot: Slot) -> Iterator[_Found]:
    if value is MISSING or (value is None and (slot.optional or slot.named)):
        return
    if not slot.named:
        yield from _node_problems(key, value, slot)
    elif not isinstance(value, Mapping):
        yield key, f"{shown(value)} is not a mapping of names to `_target_` nodes"
    else:
        for name, node in value.items():
            if node is not None and node is not MISSING:
                yield from _node_problems(f"{key}.{name}", node, slot)


def _node_problems(key: str, node: Any, slot: Slot | None) -> Iterator[_Found]:
    if not isinstance(node, Mapping) or "_target_" not in node:
        yield (
            key,
            f"{shown(node)} is not a node with a _target_, which names the class to build"
            if node
            else "needs a _target_",
        )
        return
    target = node["_target_"]
    if target is MISSING:
        return
    if not isinstance(target, str):
        yield f"{key}._target_", f"{shown(target)} is not the dotted path of a class"
        return
    if not is_trusted(target):
        yield f"{key}._target_", how_to_trust(target)
        return
    try:
        takes = signature(target)
    except TargetError as error:
        yield f"{key}._target_", str(error)
        return
    if slot and is_subclass(target, slot.expect) is False:
        yield f"{key}._target_", f"{target} is not a subclass of {slot.expect}, which is expected here"
        return
    if why := refusal(target, slot):
        yield f"{key}._target_", why
        return
    yield from _parameter_problems(key, node, takes, parameters_in(target, slot))


def _parameter_problems(
    key: str, node: Mapping[str, Any], takes: Signature, known: Mapping[str, Parameter]
) -> Iterator[_Found]:
    for name, value in node.items():
        if name == "_target_":
            continue
        if name not in known:
            if not takes.open or str(name).startswith("_"):
                yield (
                    f"{key}.{name}",
                    f"{node['_target_']} takes no {shown(name)}; {suggest(str(name), known, f'{key}.')}",
                )
            continue
        if (slot := known[name].slot) and isinstance(value, Mapping):
            yield from _slot_problems(f"{key}.{name}", value, slot)
            continue
        built = isinstance(value, Mapping) and "_target_" in value and union_options(known[name].type)
        if not built:  # a union may hold a class or a function, which a node builds but a plain value cannot be
            yield from value_problems(f"{key}.{name}", value, known[name])
        yield from _nested_nodes(f"{key}.{name}", value)
    given = {name: value for name, value in node.items() if name in known}
    defaults = {name: p.default for name, p in known.items() if not p.required and p.known}
    for name, what in refusals(node["_target_"], defaults | given):
        yield f"{key}.{name}", what
    for name, parameter in known.items():
        if parameter.required and name not in node:
            yield f"{key}.{name}", f"missing; {node['_target_']} needs {allowed(parameter.type)}"


def _nested_nodes(key: str, value: Any) -> Iterator[_Found]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield from _node_problems(key, value, None)
        else:
            for name, item in value.items():
                yield from _nested_nodes(f"{key}.{name}", item)


def _deep_problems(cfg: DictConfig) -> Iterator[_Found]:
    from aigc.config.build import import_name, target_class

    for path, node, slot in all_nodes(cfg):
        try:
            target_class(node["_target_"], import_name(slot.expect), path)
        except ConfigError as error:
            yield from ((problem.key, problem.what) for problem in error.problems)

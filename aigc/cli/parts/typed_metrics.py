"""The metrics of a verb by name, with options in the form `metric.option=value`."""

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aigc.cli.parts.options import fields_help, read_value
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.config.problems import Problem
    from aigc.config.types import Parameter

_OPTION = re.compile(r"(?P<metric>[^\W\d]\w*(?:\.\w+)*)\.(?P<option>[^\W\d_]\w*)=(?P<value>.*)", re.DOTALL)


def is_option(text: str) -> bool:
    """Whether an argument is `metric.option=value` and not a file."""
    return _OPTION.fullmatch(text) is not None


class TypedMetrics(NamedTuple):
    """The metrics of a verb.

    Args:
        targets: Dotted path of the class by name.
        default: Names to use when none is given.
        base: Dotted path of their base class.
    """

    targets: Mapping[str, str]
    default: Sequence[str]
    base: str

    def help(self) -> str:
        """Return every metric with its options, read from the sources."""
        from aigc.config.targets import signature

        lines = ["metrics and their options (metric.option=value; default in brackets):"]
        for name, target in self.targets.items():
            title = f"{name}: {signature(target).doc.splitlines()[0]}"
            lines.append(fields_help(target, title, f"{name}."))
        return "\n".join(lines)

    def make(self, names: Sequence[str], typed: Sequence[str]) -> dict[str, Any]:
        """Build metrics by name.

        Args:
            names: Names, or dotted paths of a user's classes; empty means the default.
            typed: Options in the form `metric.option=value`.

        Returns:
            The metrics by name.

        Raises:
            ConfigError: Lists every unknown metric, unknown option, wrong and missing value.
            InputError: A metric refuses a value.
        """
        from aigc.config.build import build
        from aigc.config.problems import ConfigError

        nodes, problems = self._nodes(list(dict.fromkeys(names or self.default)), typed)
        if problems:
            raise ConfigError(problems)
        module, _, base = self.base.rpartition(".")
        made, refused = {}, []
        for name, node in nodes.items():
            try:
                made[name] = build(node, getattr(importlib.import_module(module), base), name)
            except InputError as error:
                refused.append(error)
        if len(refused) > 1:
            raise InputError("\n".join(map(str, refused))) from refused[0]
        if refused:
            raise refused[0]
        return made

    def _nodes(self, names: Sequence[str], typed: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list["Problem"]]:
        """Return the node of each metric for `build`, and all problems."""
        from aigc.config.check import node_problems
        from aigc.config.problems import Problem, suggest
        from aigc.config.types import MISSING

        known = [name for name in names if name in self.targets or ("." in name and not is_option(name))]
        nodes: dict[str, dict[str, Any]] = {name: {"_target_": self.targets.get(name, name)} for name in known}
        problems = [
            Problem(
                name,
                "is an option; write it without --metric"
                if is_option(name)
                else f"no such metric; {suggest(name, self.targets)}",
                f"command line: --metric {name}",
            )
            for name in names
            if name not in nodes
        ]
        origins = {}
        for text in typed:
            metric, option, value = _OPTION.fullmatch(text).groups()  # type: ignore[union-attr]
            origin = f"command line: {text}"
            origins[f"{metric}.{option}"] = origin
            if metric in nodes:
                parameter = _parameters(nodes[metric]).get(option)
                nodes[metric][option] = read_value(value, parameter.type if parameter else Any)
            elif metric in self.targets:
                problems.append(Problem(metric, f"is not among the metrics; add --metric {metric}", origin))
            elif metric not in names:
                near = suggest(metric, {*self.targets, *nodes})
                problems.append(
                    Problem(metric, f"no such metric; {near} (to give a file of this name, write ./{text})", origin)
                )
        for name, node in nodes.items():
            missing = [p for p in _parameters(node).values() if p.required and p.name not in node]
            problems += [Problem(f"{name}.{p.name}", f"missing; give {name}.{p.name}=VALUE: {p.doc}") for p in missing]
            found = node_problems(name, {**node, **{p.name: MISSING for p in missing}}, self.base)
            problems += [Problem(p.key.removesuffix("._target_"), p.what, origins.get(p.key, "")) for p in found]
        return nodes, problems


def _parameters(node: dict[str, Any]) -> dict[str, "Parameter"]:
    """Return the parameters of a node's class; none where there is no such class, which is reported elsewhere."""
    from aigc.config.class_sources import TargetError
    from aigc.config.targets import signature

    try:
        return signature(node["_target_"]).parameters
    except TargetError:
        return {}

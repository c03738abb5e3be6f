"""The metrics that `aigc score` knows by name, and scorers made from what was typed."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aigc.cli.options import fields_help, read_value
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.config.problems import Problem
    from aigc.config.types import Parameter
    from aigc.metrics.text.scorer import Scorer

METRICS = {
    "bleu": "aigc.metrics.text.bleu.BLEUScorer",
    "chrf": "aigc.metrics.text.chrf.CHRFScorer",
    "ter": "aigc.metrics.text.ter.TERScorer",
    "rouge": "aigc.metrics.text.rouge.ROUGEScorer",
    "exact_match": "aigc.metrics.text.exact_match.ExactMatchScorer",
    "form_accuracy": "aigc.metrics.text.form.FormAccuracyScorer",
    "distinct": "aigc.metrics.text.distinct.DistinctNScorer",
    "self_bleu": "aigc.metrics.text.self_bleu.SelfBLEUScorer",
}
DEFAULT = ("bleu", "chrf", "rouge")
_SCORER = "aigc.metrics.text.scorer.Scorer"
_OPTION = re.compile(r"(?P<metric>[^\W\d]\w*(?:\.\w+)*)\.(?P<option>[^\W\d_]\w*)=(?P<value>.*)", re.DOTALL)


def is_option(text: str) -> bool:
    """Whether something typed is `metric.option=value` and no file."""
    return _OPTION.fullmatch(text) is not None


def metrics_help() -> str:
    """Every metric with its options, read from their sources."""
    from aigc.config.targets import signature

    told = ["metrics and their options (metric.option=value; default in brackets):"]
    for name, target in METRICS.items():
        title = f"{name}: {signature(target).doc.splitlines()[0]}"
        told.append(fields_help(target, title, f"{name}."))
    return "\n".join(told)


def make_scorers(names: Sequence[str], typed: Sequence[str]) -> dict[str, "Scorer"]:
    """The scorers of some metrics.

    Args:
        names: Names of `METRICS`, or dotted paths of a person's own classes; none means `DEFAULT`.
        typed: Options as `metric.option=value`.

    Returns:
        Name to scorer.

    Raises:
        ConfigError: Every unknown metric, unknown option, wrong and missing value.
        InputError: Every value that a scorer refuses.
    """
    from aigc.config.build import build
    from aigc.config.problems import ConfigError
    from aigc.metrics.text.scorer import Scorer

    chosen = list(dict.fromkeys(names or DEFAULT))
    nodes, problems = _nodes(chosen, typed)
    if problems:
        raise ConfigError(problems)
    scorers, refused = {}, []
    for name, node in nodes.items():
        try:
            scorers[name] = build(node, Scorer, name)
        except InputError as error:
            refused.append(error)
    if len(refused) > 1:
        raise InputError("\n".join(map(str, refused))) from refused[0]
    if refused:
        raise refused[0]
    return scorers


def _nodes(names: Sequence[str], typed: Sequence[str]) -> tuple[dict[str, dict[str, Any]], list["Problem"]]:
    """For each metric what `build` takes, and all that is wrong with it."""
    from aigc.config.check import node_problems
    from aigc.config.problems import Problem, suggest
    from aigc.config.types import MISSING

    known = [name for name in names if name in METRICS or ("." in name and not is_option(name))]
    nodes: dict[str, dict[str, Any]] = {name: {"_target_": METRICS.get(name, name)} for name in known}
    problems = [
        Problem(
            name,
            "is an option, which stands without --metric"
            if is_option(name)
            else f"no such metric; {suggest(name, METRICS)}",
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
        elif metric in METRICS:
            problems.append(Problem(metric, f"is not measured here; add --metric {metric}", origin))
        elif metric not in names:
            what = f"no such metric; {suggest(metric, {*METRICS, *nodes})} (a file of this name is given as ./{text})"
            problems.append(Problem(metric, what, origin))
    for name, node in nodes.items():
        missing = [p for p in _parameters(node).values() if p.required and p.name not in node]
        problems += [Problem(f"{name}.{p.name}", f"missing; give {name}.{p.name}=VALUE: {p.doc}") for p in missing]
        found = node_problems(name, {**node, **{p.name: MISSING for p in missing}}, _SCORER)
        problems += [Problem(p.key.removesuffix("._target_"), p.what, origins.get(p.key, "")) for p in found]
    return nodes, problems


def _parameters(node: dict[str, Any]) -> dict[str, "Parameter"]:
    """What the class of a node takes; nothing where there is no such class, which is reported elsewhere."""
    from aigc.config.sources import TargetError
    from aigc.config.targets import signature

    try:
        return signature(node["_target_"]).parameters
    except TargetError:
        return {}

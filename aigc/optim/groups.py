"""Groups of parameters with learning rates of their own, and frozen parameters, by patterns of their names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn import Parameter
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem
from aigc.models.weights import is_vector

KINDS = ("embeddings", "matrices", "vectors")
"""What groups are called, in their order; those with another rate follow, as `matrices x0.5`."""
_MOST = 24


def freeze(network: nn.Module, patterns: Sequence[str], key: str) -> None:
    """Freeze the parameters whose names match, or that lie in modules whose names match.

    Args:
        network: The network.
        patterns: Names as of `network.named_parameters()`, with `*`, `?` and `[0-9]` as in a shell.
        key: The key in the config, for messages.

    Raises:
        ConfigError: A pattern matches nothing, or nothing is left to train.
    """
    named = list(network.named_parameters(remove_duplicate=False))
    _check_patterns([name for name, _ in named], patterns, key)
    for name, parameter in named:
        if any(matches(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
    if patterns and not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError([Problem(key, "nothing is left to train")])


def rate_factors(
    network: nn.Module, rates: Iterable[tuple[str, float]], layer_decay: float, key: str
) -> dict[int, float]:
    """Return the factor of the learning rate of each trained parameter, by its id; the product of all that apply.

    Args:
        network: The network.
        rates: Pairs of a pattern, as of `freeze`, and a factor.
        layer_decay: Factor for each layer below the output: what follows the last layer keeps the rate, and embeddings
            have it times layer_decay ** (layers + 1) (Clark et al., 2020; Bao et al., 2021). 1 does nothing.
        key: The key of the rates in the config, for messages.

    Raises:
        ConfigError: A pattern matches nothing, or the network has no layers.
    """
    named, rates = list(network.named_parameters()), list(rates)
    names: dict[int, list[str]] = {}  # a weight that two layers share has two
    for name, parameter in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    _check_patterns([name for several in names.values() for name in several], [pattern for pattern, _ in rates], key)
    depths = layer_depths([name for name, _ in named]) if layer_decay != 1 else {}
    factors = {}
    for name, parameter in named:
        factor = 1.0
        for pattern, value in rates:
            factor *= value if any(matches(one, pattern) for one in names[id(parameter)]) else 1.0
        factors[id(parameter)] = factor * layer_decay ** depths.get(name, 0)
    return factors


def layer_depths(names: Sequence[str]) -> dict[str, int]:
    """Return how many layers lie after each parameter: 0 behind the last layer, 1 in it, the most for embeddings.

    Layers are the modules with numbers for names; parameters of embeddings come before the first.

    Raises:
        ConfigError: There are none.
    """
    numbers = [int(found[1]) if (found := re.search(r"\.(\d+)\.", name)) else None for name in names]
    known = [number for number in numbers if number is not None]
    if not known:
        raise ConfigError([Problem("task.layer_decay", "the network has no numbered layers; set it to 1")])
    layers, begun, depths = max(known) + 1, False, {}
    for name, number in zip(names, numbers, strict=True):
        begun = begun or number is not None
        depths[name] = layers - number if number is not None else 0 if begun else layers + 1
    return depths


def parameter_groups(
    parameters: Iterable[Parameter], embeddings: set[int], factors: Mapping[int, float]
) -> list[dict[str, Any]]:
    """Return the groups of the trained parameters: by kind, then by the factor of their learning rate.

    Args:
        parameters: In the order that they have in their groups.
        embeddings: The ids of those that are token embeddings or output layers.
        factors: Factors of the learning rate by id, where one is not 1.
    """
    groups: dict[tuple[float, str], list[Parameter]] = {}
    for parameter in parameters:
        if parameter.requires_grad:
            kind = "embeddings" if id(parameter) in embeddings else "vectors" if is_vector(parameter) else "matrices"
            groups.setdefault((factors.get(id(parameter), 1.0), kind), []).append(parameter)
    order = sorted(groups, key=lambda one: (one[0] != 1, -one[0], KINDS.index(one[1])))
    return [
        {"name": kind, "params": groups[factor, kind]}
        if factor == 1
        else {"name": f"{kind} x{factor:.6g}", "kind": kind, "factor": factor, "params": groups[factor, kind]}
        for factor, kind in order
    ]


def set_rates(optimizer: Optimizer, embedding_lr_ratio: float, decay_vectors: bool) -> None:
    """Set learning rate and weight decay of groups that `parameter_groups` made."""
    for group in optimizer.param_groups:
        kind = group.get("kind", group["name"])
        if kind == "embeddings":
            group["lr"] *= embedding_lr_ratio
        elif kind == "vectors" and not decay_vectors:
            group["weight_decay"] = 0.0
        if "factor" in group:
            group["lr"] *= group["factor"]


def base_rate(optimizer: Optimizer) -> float:
    """Return the learning rate of the last group that has no factor; of the last one without its factor, otherwise."""
    plain = [group["lr"] for group in optimizer.param_groups if "factor" not in group]
    last = optimizer.param_groups[-1]
    return float(plain[-1] if plain else last["lr"] / last["factor"])


def matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a parameter's name, or that of a module that it lies in."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _check_patterns(names: Sequence[str], patterns: Iterable[str], key: str) -> None:
    problems = []
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            shown = list(dict.fromkeys(re.sub(r"\.\d+\.", ".*.", name) for name in names))
            more = f" and {len(shown) - _MOST} more" if len(shown) > _MOST else ""
            what = f"no parameter is called {pattern!r}; there are {', '.join(shown[:_MOST])}{more}"
            problems.append(Problem(key, what))
    if problems:
        raise ConfigError(problems)

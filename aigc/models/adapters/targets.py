"""Names of the layers that an adapter changes, and what is said of those that a network does not have."""

import re
from collections.abc import Iterator, Sequence

from torch import nn
from transformers.pytorch_utils import Conv1D

from aigc.config.problems import Problem, nearest

ALL_LINEAR = "all-linear"
"""All linear layers but the output layer."""
_MOST = 24


def target_problems(
    model: nn.Module, targets: str | Sequence[str], kinds: tuple[type[nn.Module], ...]
) -> Iterator[Problem]:
    """Yield the problem of each target that no layer of a network has.

    Args:
        model: The network; its weights are not read.
        targets: `all-linear`, names of layers (or ends of them, as `q_proj`), or a regular expression of whole names.
        kinds: The classes of layers that can be changed.
    """
    key = "model.adapter.target_modules"
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}
    if isinstance(targets, str):
        if targets != ALL_LINEAR:
            yield from _pattern_problem(key, targets, layers)
        return
    for name in targets:
        if not any(is_named(layer, name) for layer in layers):
            yield Problem(key, _unknown(name, layers))


def saved_problems(model: nn.Module, names: Sequence[str]) -> Iterator[Problem]:
    """Yield the problem of each name in `modules_to_save` that no module of a network has; arguments as above."""
    modules = {name for name, module in model.named_modules() if name and any(True for _ in module.parameters())}
    for name in names:
        if not any(is_named(module, name) for module in modules):
            yield Problem("model.adapter.modules_to_save", _unknown(name, modules))


def is_named(layer: str, name: str) -> bool:
    """Return whether a full name is this one or ends in it, as PEFT compares them."""
    return layer == name or layer.endswith(f".{name}")


def is_target(layer: str, targets: str | Sequence[str]) -> bool:
    """Return whether embeddings or an output layer, by its full name, are among the layers that an adapter changes."""
    if isinstance(targets, str):
        return targets != ALL_LINEAR and re.fullmatch(targets, layer) is not None
    return any(is_named(layer, name) for name in targets)


def linear_kinds() -> tuple[type[nn.Module], ...]:
    """Return the classes of linear layers: that of PyTorch and that of GPT-2."""
    return nn.Linear, Conv1D


def _pattern_problem(key: str, pattern: str, layers: dict[str, nn.Module]) -> Iterator[Problem]:
    try:
        found = any(re.fullmatch(pattern, name) for name in layers)
    except re.error as error:
        yield Problem(key, f"{pattern!r} is not a regular expression: {error}")
        return
    if not found:
        some = next(iter(layers), "")
        name = pattern if any(is_named(layer, pattern) for layer in layers) else _last(some)
        what = f"no layer has a whole name, such as {some}, that matches {pattern!r}; a list, [{name}], takes ends"
        yield Problem(key, f"{what}. {_listed(layers)}")


def _unknown(name: str, known: Iterator[str] | dict[str, nn.Module] | set[str]) -> str:
    near = nearest(name.rpartition(".")[2], {_last(one) for one in known})
    return f"no layer is called {name!r}{f'; did you mean {near}?' if near else '.'} {_listed(known)}"


def _listed(names: Iterator[str] | dict[str, nn.Module] | set[str]) -> str:
    last = sorted({_last(name) for name in names if not _last(name).isdigit()})
    more = f" and {len(last) - _MOST} more" if len(last) > _MOST else ""
    return f"Layers: {', '.join(last[:_MOST])}{more}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]

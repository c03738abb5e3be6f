"""Comparison of plain values with declared types, and descriptions of types for messages."""

import math
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aigc.config.problems import suggest
from aigc.printing import shortened

MISSING = object()
"""Placeholder of a value that is reported elsewhere (`???` or an interpolation that fails)."""


@dataclass(frozen=True)
class Bound:
    """A range for a number: `Annotated[int, Bound(1)]`."""

    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Slot:
    """A position for a `_target_` node: its base class, and what the framework passes when it builds the node.

    Sections of a config and parameters of a class are annotated with it: `Annotated[dict[str, Any], Slot("a.Base")]`.
    """

    expect: str
    supplied: tuple[str, ...] = ()
    named: bool = False
    """Whether it holds a mapping of names to nodes, where `null` switches one off."""
    optional: bool = False
    names: str = ""
    """The package whose classes a text names in place of a node, as `loss: hinge` does; empty takes nodes alone."""
    attribute: str = ""
    """The class attribute that holds such a name; empty takes the name of the class's module."""
    extra: tuple[tuple[str, "Parameter"], ...] = ()
    """A base class and a key that nodes of it may have for the framework, which does not pass it to the class."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a class, or one field of a section: its type, its default, its help text."""

    name: str
    type: Any = Any
    required: bool = False
    default: Any = None
    doc: str = ""
    slot: Slot | None = None
    """The slot, where a mapping given for it is a node or holds named nodes."""
    known: bool = True
    """Whether `default` is the default; False where the source computes it."""


@dataclass(frozen=True)
class OneOf:
    """A union whose members may be `Fields`, which `typing.Union` does not accept."""

    options: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Fields:
    """The type of a mapping with known keys: a dataclass."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def mismatches(key: str, value: Any, expected: Any) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong) for each mismatch of a plain value and a type.

    An integer fits float; a float does not fit int, and a boolean fits neither. Unknown types allow everything.
    """
    if value is MISSING or _fits_exactly(value, expected):
        return
    if isinstance(expected, Fields) and isinstance(value, Mapping):
        yield from _field_mismatches(key, value, expected)
        return
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if union_options(expected):
        for option in union_options(expected):
            found = list(mismatches(key, value, option))
            if found and found[0][0] != key:  # the mismatch is inside, so this is the option that was meant
                yield from found
                return
    elif origin in (list, tuple, Sequence, set) and isinstance(value, list) and _fits_length(value, expected):
        for index, item in enumerate(value):
            yield from mismatches(f"{key}[{index}]", item, _item_type(arguments, index))
        return
    elif origin in (dict, Mapping) and isinstance(value, Mapping) and len(arguments) == 2:
        for name, item in value.items():
            yield from mismatches(f"{key}.{name}", item, arguments[1])
        return
    finite = not isinstance(value, float) or math.isfinite(value)
    yield key, f"{shown(value)} is not {allowed(expected)}" if finite else f"{value} is not finite"


def allowed(expected: Any) -> str:
    """Describe what a type allows: `an integer of at least 1`, `one of fast, slow`."""
    if isinstance(expected, Fields):
        return f"a mapping with the keys {', '.join(expected.parameters)}"
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is typing.Annotated:
        bounds = [_bound_words(extra) for extra in arguments[1:] if isinstance(extra, Bound)]
        return " ".join([allowed(arguments[0]), *bounds])
    if origin is Literal:
        return "one of " + ", ".join(str(choice) for choice in arguments)
    if union_options(expected):
        return " or ".join(allowed(option) for option in union_options(expected))
    if origin in (list, tuple, Sequence, set):
        size = "" if _length(expected) is None else f" of {_length(expected)}"
        of_any = not arguments or arguments[0] in (Any, object)
        return f"a list{size}" if of_any else f"a list{size} (each {allowed(arguments[0])})"
    if origin in (dict, Mapping):
        return "a mapping"
    names = {int: "an integer", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    names |= {list: "a list", tuple: "a list", dict: "a mapping", Any: "a value", object: "a value"}
    return names.get(expected, getattr(expected, "__name__", str(expected)))


def union_options(expected: Any) -> tuple[Any, ...]:
    """Return the members of a union; empty for any other type."""
    if isinstance(expected, OneOf):
        return expected.options
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return typing.get_args(expected)
    return ()


def shown(value: Any) -> str:
    """Return a value as messages show it, at most 60 characters."""
    text = "null" if value is None else repr(value)
    return shortened(text, 60)


def _fits_exactly(value: Any, expected: Any) -> bool:
    if expected is Any or expected is object:
        return True
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if origin is typing.Annotated:
        bounds = [extra for extra in arguments[1:] if isinstance(extra, Bound)]
        return _fits_exactly(value, arguments[0]) and all(value is None or _within(value, bound) for bound in bounds)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in arguments)
    if union_options(expected):
        return any(not list(mismatches("", value, option)) for option in union_options(expected))
    if origin is not None or isinstance(expected, Fields):
        return False
    if expected is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if expected in (list, tuple, set):
        return isinstance(value, list)
    if expected in (str, bool, dict, type(None)):
        return isinstance(value, expected)
    return True


def _field_mismatches(key: str, value: Mapping[Any, Any], expected: Fields) -> Iterator[tuple[str, str]]:
    for name, item in value.items():
        if name in expected.parameters:
            yield from mismatches(f"{key}.{name}", item, expected.parameters[name].type)
        else:
            yield f"{key}.{name}", f"no such key; {suggest(str(name), expected.parameters, f'{key}.')}"
    for name, parameter in expected.parameters.items():
        if parameter.required and name not in value:
            yield f"{key}.{name}", f"missing; allowed: {allowed(parameter.type)}"


def _length(expected: Any) -> int | None:
    """Return the number of items that a tuple type has; None for any other type."""
    arguments = typing.get_args(expected)
    fixed = typing.get_origin(expected) is tuple and arguments and arguments[-1] is not Ellipsis
    return len(arguments) if fixed else None


def _fits_length(value: list[Any], expected: Any) -> bool:
    return _length(expected) in (None, len(value))


def _item_type(arguments: tuple[Any, ...], index: int) -> Any:
    if not arguments:
        return Any
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return arguments[0]
    return arguments[index] if index < len(arguments) else Any


def _within(value: Any, bound: Bound) -> bool:
    return (bound.minimum is None or value >= bound.minimum) and (bound.maximum is None or value <= bound.maximum)


def _bound_words(bound: Bound) -> str:
    low = f"of at least {_written(bound.minimum)}" if bound.minimum is not None else ""
    high = f"at most {_written(bound.maximum)}" if bound.maximum is not None else ""
    return " and ".join(part for part in (low, high) if part)


def _written(number: float) -> str:
    """Return a limit with all its digits: `4294967295`, `0.5`."""
    return str(int(number)) if number == int(number) else f"{number:g}"

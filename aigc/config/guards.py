"""Checks that a class makes of its parameters before anything else, read from its source and made without importing it.

Constructors begin with statements such as `if not 0.0 <= lr: raise ValueError(f"Invalid learning rate: {lr}")`. Those
that compare parameters with constants are evaluated here; all others are left to the class itself.
"""

import ast
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aigc.config.class_sources import ClassSource, find_class, resolve_expression

_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_CALLS: dict[str, Callable[..., Any]] = {"len": len, "min": min, "max": max, "abs": abs}


_MOST_BASES = 8


class _UnknownError(Exception):
    """An expression that is not evaluated here."""


def refusals(target: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the parameter and the message of each check in the constructor of a class that its values do not pass.

    Args:
        target: Dotted path of the class.
        values: What a config gives, with the defaults that are known.

    Raises:
        TargetError: The class cannot be found.
    """
    assigned: set[str] = set()
    for statement in _statements(find_class(target)):
        if isinstance(statement, ast.If) and isinstance(statement.body[0], ast.Raise) and not statement.orelse:
            names = [node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)]
            given = [name for name in names if name in values and name not in assigned]
            if given and _is_true(statement.test, values, assigned):
                yield given[0], _message(statement.body[0], values)
        assigned |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and _stores(node)}


def _statements(source: ClassSource, depth: int = 0) -> Iterator[ast.stmt]:
    """Yield the statements of a constructor, and those of the constructor that it calls by `super()`.

    A parameter of the same name is taken to be passed on as it is.
    """
    init = next((n for n in source.node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    yield from init.body if init else []
    calls = init is None or any("super().__init__" in ast.unparse(statement) for statement in init.body)
    for base in source.node.bases if calls and depth < _MOST_BASES else []:
        parent = resolve_expression(source.module, base)
        if parent is not None:
            yield from _statements(parent, depth + 1)


def _stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _is_true(test: ast.expr, values: Mapping[str, Any], assigned: set[str]) -> bool:
    known = {name: value for name, value in values.items() if name not in assigned}
    try:
        return bool(_value(test, known))
    except (_UnknownError, TypeError, IndexError, KeyError, ValueError):
        return False


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    """Evaluate constants, parameters, comparisons and a few functions."""
    match node:
        case ast.Constant():
            return node.value
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.Tuple() | ast.List():
            return [_value(item, known) for item in node.elts]
        case ast.UnaryOp(op=ast.Not()):
            return not _value(node.operand, known)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, known)
        case ast.BoolOp():
            results = (_value(item, known) for item in node.values)
            return all(results) if isinstance(node.op, ast.And) else any(results)
        case ast.Compare():
            items = [_value(item, known) for item in (node.left, *node.comparators)]
            return all(_COMPARE[type(op)](*pair) for op, pair in zip(node.ops, itertools.pairwise(items), strict=True))
        case ast.Subscript():
            return _value(node.value, known)[_value(node.slice, known)]
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _CALLS:
            return _CALLS[name](*(_value(item, known) for item in node.args))
        case ast.Call(func=ast.Attribute(value=text, attr="strip"), args=[], keywords=[]):
            return str.strip(_value(text, known))
    raise _UnknownError


def _message(statement: ast.Raise, values: Mapping[str, Any]) -> str:
    """Return the text of an exception; parts that are not evaluated here are shown as they are written."""
    call = statement.exc
    text = call.args[0] if isinstance(call, ast.Call) and call.args else call
    if isinstance(text, ast.JoinedStr):
        return "".join(_shown(part, values) for part in text.values)
    return str(text.value) if isinstance(text, ast.Constant) else "the class does not take this value"


def _shown(part: ast.expr, values: Mapping[str, Any]) -> str:
    if not isinstance(part, ast.FormattedValue):
        return str(part.value) if isinstance(part, ast.Constant) else ""
    try:
        return str(_value(part.value, values))
    except (_UnknownError, TypeError, IndexError, KeyError, ValueError):
        return ast.unparse(part.value)

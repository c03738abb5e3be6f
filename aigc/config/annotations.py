"""Types of annotations in source code, found without evaluating code."""

import ast
import typing
from collections.abc import Callable
from typing import Any, TypeVar

from aigc.config.types import Bound, OneOf, Slot

_NAMES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": list,
    "dict": dict,
    "tuple": tuple,
    "None": type(None),
    "List": list,
    "Dict": dict,
    "Tuple": tuple,
    "Sequence": list,
    "Mapping": dict,
    "Iterable": list,
    "Path": str,
    "PathLike": str,
}

T = TypeVar("T")
Resolve = Callable[[ast.expr], Any]

OBJECT = object()
"""What `resolve` returns for a class whose instances cannot be written in YAML; functions count as such."""


def annotation_type(node: ast.expr | None, resolve: Resolve) -> Any:
    """Return the type that an annotation names, Any when it is unclear; `resolve` is called for names not built in."""
    if node is None:
        return Any
    if isinstance(node, ast.Constant):
        if node.value is None:
            return type(None)
        if isinstance(node.value, str):
            return annotation_type(_parse(node.value), resolve)
        return Any
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([annotation_type(node.left, resolve), annotation_type(node.right, resolve)])
    name = ast.unparse(node).partition("[")[0].rpartition(".")[2]
    if name == "Callable":
        return OBJECT
    if isinstance(node, ast.Subscript):
        return _subscript(node, resolve)
    return _NAMES[name] if name in _NAMES else resolve(node)


def annotation_slot(node: ast.expr | None) -> Slot | None:
    """Return the slot of `_target_` nodes that an annotation declares; its arguments are literals."""
    if not isinstance(node, ast.Subscript) or ast.unparse(node.value).rpartition(".")[2] != "Annotated":
        return None
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    return next((slot for slot in (_call(item, Slot) for item in items[1:]) if slot is not None), None)


def _subscript(node: ast.Subscript, resolve: Resolve) -> Any:
    name = ast.unparse(node.value).rpartition(".")[2]
    items = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return typing.Literal[tuple(ast.literal_eval(item) for item in items)]
    if name == "Annotated":
        bounds = [bound for bound in (_call(item, Bound) for item in items[1:]) if bound is not None]
        base = annotation_type(items[0], resolve)
        return typing.Annotated[(base, *bounds)] if bounds and isinstance(base, type) else base
    arguments = [... if _is_ellipsis(item) else _plain(annotation_type(item, resolve)) for item in items]
    if name == "Optional":
        return _union([arguments[0], type(None)])
    if name == "Union":
        return _union(arguments)
    base = _NAMES.get(name)
    if base not in (list, dict, tuple):
        return Any
    if any(argument is Any for argument in arguments) and base is not dict:
        return base
    generic: Any = base
    return generic[tuple(arguments)] if base is not list else generic[arguments[0]]


def _plain(kind: Any) -> Any:
    return Any if kind is OBJECT else kind


def _call(node: ast.expr, kind: type[T]) -> T | None:
    """Evaluate `Bound(1)` or `Slot("a.Base")` in source code."""
    if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == kind.__name__:
        keywords = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords if keyword.arg}
        return kind(*(ast.literal_eval(argument) for argument in node.args), **keywords)
    return None


def _union(options: list[Any]) -> Any:
    options = [option for option in options if option is not OBJECT]
    return Any if not options or any(option is Any for option in options) else OneOf(tuple(options))


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _parse(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None

"""Signatures of `_target_` classes, read from their source: nothing is imported, so no torch and no foreign code."""

import ast
from dataclasses import dataclass
from functools import cache
from typing import Any

from aigc.config.annotations import OBJECT, annotation_slot, annotation_type
from aigc.config.class_sources import (
    ClassSource,
    Module,
    TargetError,
    assigns,
    find_class,
    find_module,
    imported_from,
    resolve_expression,
    top_level,
)
from aigc.config.docstrings import argument_docs
from aigc.config.trust import TRUSTED
from aigc.config.types import Fields, Parameter


@dataclass(frozen=True)
class Signature:
    """The parameters of a class; `open` when it accepts further keywords that its source does not name."""

    parameters: dict[str, Parameter]
    open: bool
    doc: str


@cache
def signature(target: str) -> Signature:
    """Return the signature of the class that a dotted path names.

    Raises:
        TargetError: As `find_class`.
    """
    return _class_signature(find_class(target), frozenset())


def is_subclass(target: str, base: str) -> bool | None:
    """Whether the class derives from the base; None when the source of a base class cannot be found."""
    try:
        return _derives(find_class(target), find_class(base), frozenset())
    except TargetError:
        return None


def class_attribute(target: str, name: str) -> Any:
    """Return the literal value that a class or its nearest base assigns to an attribute; None where there is none.

    Raises:
        TargetError: As `find_class`.
    """
    found = _attribute(find_class(target), name, frozenset())
    return _literal(found[1]) if found else None


def named_base(target: str, holder: str, name: str) -> str | None:
    """Return the class that an attribute of a holder names, where a class certainly does not derive from it.

    Args:
        target: Dotted path of the class.
        holder: Dotted path of the class with the attribute, or with a base that has it.
        name: The attribute.

    Raises:
        TargetError: As `find_class`.
    """
    found = _attribute(find_class(holder), name, frozenset())
    base = resolve_expression(*found) if found else None
    return base.name if base and _derives(find_class(target), base, frozenset()) is False else None


def _attribute(source: ClassSource, name: str, seen: frozenset[ClassSource]) -> tuple[Module, ast.expr] | None:
    """Return the value that a class or its nearest base assigns to an attribute, and the module that it is in."""
    for statement in source.node.body:
        annotated = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == name
        if annotated or (isinstance(statement, ast.Assign) and assigns(statement, name)):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            return None if statement.value is None else (source.module, statement.value)
    for base in source.node.bases:
        parent = resolve_expression(source.module, base)
        if parent is not None and parent not in seen:
            found = _attribute(parent, name, seen | {source})
            if found is not None:
                return found
    return None


def _derives(source: ClassSource, base: ClassSource, seen: frozenset[ClassSource]) -> bool | None:
    if source == base:
        return True
    verdicts: list[bool | None] = []
    for expression in source.node.bases:
        parent = resolve_expression(source.module, expression)
        if parent is None or parent in seen:
            verdicts.append(
                None if ast.unparse(expression).split("[")[0] not in ("object", "Generic", "ABC") else False
            )
        else:
            verdicts.append(_derives(parent, base, seen | {source}))
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _class_signature(source: ClassSource, seen: frozenset[ClassSource]) -> Signature:
    doc = ast.get_docstring(source.node) or ""
    parents = [resolve_expression(source.module, base) for base in source.node.bases]
    known = [parent for parent in parents if parent is not None and parent not in seen]
    inherited = [_class_signature(parent, seen | {source}) for parent in known]
    init = next((n for n in source.node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    if init is not None:
        own, takes_more = _function_parameters(source.module, init, doc)
        if takes_more:
            passed = _passed_to_base(init, inherited) - set(own)
            merged = {name: p for parent in inherited for name, p in parent.parameters.items()} | own
            merged = {name: p for name, p in merged.items() if name not in passed}
            return Signature(merged, not inherited or any(parent.open for parent in inherited), doc)
        return Signature(own, False, doc)
    if _is_dataclass(source.node):
        merged = {name: p for parent in reversed(inherited) for name, p in parent.parameters.items()}
        return Signature(merged | _dataclass_fields(source.module, source.node), False, doc)
    if inherited:
        return Signature(inherited[0].parameters, inherited[0].open, doc or inherited[0].doc)
    return Signature({}, any(parent is None for parent in parents), doc)


def _passed_to_base(init: ast.FunctionDef, bases: list[Signature]) -> set[str]:
    """Return the parameters of base classes that a constructor sets itself when it calls theirs."""
    passed: set[str] = set()
    for call in ast.walk(init):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
            positional = sum(not isinstance(argument, ast.Starred) for argument in call.args)
            passed |= {keyword.arg for keyword in call.keywords if keyword.arg}
            passed |= {name for base in bases for name in list(base.parameters)[:positional]}
    return passed


def _function_parameters(module: Module, init: ast.FunctionDef, class_doc: str) -> tuple[dict[str, Parameter], bool]:
    docs = argument_docs(class_doc) | argument_docs(ast.get_docstring(init) or "")
    arguments = init.args
    positional = [*arguments.posonlyargs, *arguments.args][1:]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    defaults += arguments.defaults[-len(positional) :] if positional else []
    pairs = [*zip(positional, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parameters = {
        argument.arg: Parameter(
            argument.arg,
            parameter_type(module, argument.annotation),
            default is None,
            _literal(default),
            docs.get(argument.arg, ""),
            annotation_slot(argument.annotation),
            _is_literal(default),
        )
        for argument, default in pairs
    }
    return parameters, arguments.kwarg is not None


def _dataclass_fields(module: Module, node: ast.ClassDef) -> dict[str, Parameter]:
    fields: dict[str, Parameter] = {}
    for statement, following in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name, doc = statement.target.id, ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                doc = " ".join(str(following.value.value).split())
            kind, slot = parameter_type(module, statement.annotation), annotation_slot(statement.annotation)
            value = statement.value
            fields[name] = Parameter(name, kind, value is None, _literal(value), doc, slot, _is_literal(value))
    return fields


def parameter_type(module: Module, annotation: ast.expr | None) -> Any:
    """Return the type that an annotation inside a module means; Any where it is unclear."""
    kind = annotation_type(annotation, lambda expression: _named_type(module, expression))
    return Any if kind is OBJECT else kind


def _named_type(module: Module, expression: ast.expr) -> Any:
    """Return `Fields` for a dataclass, the type behind an alias, OBJECT for another class, Any for the rest."""
    if ast.unparse(expression).rpartition(".")[2] == "Tensor":
        return OBJECT
    if _from_library(module, expression):
        return Any
    alias = _alias(module, expression)
    if alias is not None:
        return parameter_type(alias[0], alias[1])
    source = resolve_expression(module, expression)
    if source is None or any("Enum" in ast.unparse(base) for base in source.node.bases):
        return Any
    if _is_dataclass(source.node):
        return Fields(source.name, _class_signature(source, frozenset()).parameters)
    return OBJECT


def _from_library(module: Module, expression: ast.expr) -> bool:
    """Whether a name comes from a trusted library, whose sources are too long to follow every name."""
    libraries = set(TRUSTED) - {"aigc"}
    head = ast.unparse(expression).split(".")[0]
    sources = [module.name]
    for statement in top_level(module.tree.body):
        if isinstance(statement, ast.ImportFrom) and any((a.asname or a.name) == head for a in statement.names):
            sources.append(imported_from(module, statement))
        elif isinstance(statement, ast.Import):
            sources += [a.name for a in statement.names if (a.asname or a.name.split(".")[0]) == head]
    return any(source.split(".")[0] in libraries for source in sources)


def _alias(module: Module, expression: ast.expr, depth: int = 0) -> tuple[Module, ast.expr] | None:
    """Return the expression of `Kind = Literal[...]` or `Number = int | float`, also when it is imported."""
    if not isinstance(expression, ast.Name) or depth > 4:
        return None
    for statement in top_level(module.tree.body):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Subscript | ast.BinOp):
            if assigns(statement, expression.id):
                return module, statement.value
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == expression.id:
                    inner = find_module(imported_from(module, statement))
                    return _alias(inner, ast.Name(alias.name), depth + 1) if inner else None
    return None


def _literal(node: ast.expr | None) -> Any:
    try:
        return ast.literal_eval(node) if node is not None else None
    except ValueError:
        return None


def _is_literal(node: ast.expr | None) -> bool:
    return _literal(node) is not None or (isinstance(node, ast.Constant) and node.value is None)


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)

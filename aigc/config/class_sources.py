"""Source code of classes, found as `import` would find it, without importing anything."""

import ast
import importlib.util
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from aigc.config.exports import definitions, locate, offered
from aigc.config.problems import suggest
from aigc.config.renamed import new_name
from aigc.config.types import shown


class TargetError(ValueError):
    """The class does not exist or is not a class; the message names it and the nearest name."""


@dataclass(frozen=True)
class Module:
    """One parsed source file."""

    name: str
    path: Path
    tree: ast.Module = field(repr=False, compare=False)


@dataclass(frozen=True)
class ClassSource:
    """A class statement and its module; two are equal when they are the same class."""

    name: str
    module: Module
    node: ast.ClassDef = field(repr=False, compare=False)


def find_class(target: str) -> ClassSource:
    """Find the class that a dotted path names, through re-exports, as `import` would.

    Raises:
        TargetError: No such package, module or class (with the nearest name), or not a class.
    """
    parts = target.split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise TargetError(f"{shown(target)} is not the dotted path of a class, like package.module.Class")
    if new := new_name(target):
        raise TargetError(f"{target} is now {new}")
    module = find_module(parts[0])
    if module is None:
        raise TargetError(f"package {shown(parts[0])} is not installed; install it or correct the name")
    for index, part in enumerate(parts[1:-1], 2):
        inner = find_module(".".join(parts[:index]))
        if inner is None:
            raise TargetError(f"{module.name} has no module {shown(part)}; {suggest(part, _submodules(module))}")
        module = inner
    found = _lookup(module, parts[-1])
    if found is None:
        raise TargetError(f"{module.name} has no class {shown(parts[-1])}; {suggest(parts[-1], _class_names(module))}")
    return found


@cache
def find_module(name: str) -> Module | None:
    """Return the source of a dotted module name; None when there is none."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest and not spec.submodule_search_locations:
        return _parse(name, Path(spec.origin)) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or []:
        base = Path(location).joinpath(*rest)
        for path in (base / "__init__.py", base.with_suffix(".py") if rest else base):
            if path.is_file():
                return _parse(name, path)
        if base.is_dir():
            return Module(name, base / "__init__.py", ast.Module(body=[], type_ignores=[]))
    return None


def _parse(name: str, path: Path) -> Module:
    try:
        return Module(name, path, ast.parse(path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        raise TargetError(f"{path}:{error.lineno} does not parse: {error.msg}") from error


def _lookup(module: Module, name: str, depth: int = 0) -> ClassSource | None:
    if depth > 8:
        return None
    stars = []
    for statement in top_level(module.tree.body):
        if isinstance(statement, ast.ClassDef) and statement.name == name:
            return ClassSource(name, module, statement)
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == name:
            raise TargetError(f"{module.name}.{name} is a function; only classes are built from a config")
        if isinstance(statement, ast.ImportFrom):
            source = imported_from(module, statement)
            for alias in statement.names:
                if alias.name == "*":
                    stars.append(source)
                elif (alias.asname or alias.name) == name:
                    inner = find_module(source)
                    return _lookup(inner, alias.name, depth + 1) if inner else None
        if isinstance(statement, ast.Assign) and assigns(statement, name):
            return resolve_expression(module, statement.value)
    for source in stars:
        inner = find_module(source)
        found = _lookup(inner, name, depth + 1) if inner else None
        if found:
            return found
    return _exported(module, name, depth)


def _exported(module: Module, name: str, depth: int) -> ClassSource | None:
    """Return the class that a package offers by `lazy_exports`."""
    suffix = _export_suffix(module)
    if suffix is None:
        return None
    try:
        found = locate(module.path.parent, name, suffix)
    except AttributeError as error:
        raise TargetError(str(error)) from error
    inner = find_module(f"{module.name}.{found[0]}") if found else None
    return _lookup(inner, found[1], depth + 1) if found and inner else None


def _export_suffix(module: Module) -> str | None:
    """Return the suffix that a package passes to `lazy_exports`; None where it does not call it."""
    for statement in module.tree.body:
        call = statement.value if isinstance(statement, ast.Assign) else None
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "lazy_exports":
            given = {keyword.arg: keyword.value for keyword in call.keywords}.get("suffix")
            return str(given.value) if isinstance(given, ast.Constant) else ""
    return None


def named_classes(package: str, attribute: str) -> dict[str, str]:
    """Map the names that classes below a package declare to the dotted paths of the classes.

    Args:
        package: Dotted name.
        attribute: The class attribute that holds the name, as a string literal.

    Raises:
        TargetError: There is no such package, or two classes have the same name.
    """
    root = find_module(package)
    if root is None:
        raise TargetError(f"there is no package {package!r}")
    named: dict[str, str] = {}
    for inner in sorted({module for modules in definitions(root.path.parent).values() for module in modules}):
        module = find_module(f"{package}.{inner}")
        classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)] if module else []
        for node in classes:
            for name in _literals(node, attribute):
                target = f"{package}.{inner}.{node.name}"
                if name in named:
                    raise TargetError(f"{named[name]} and {target} both have the {attribute} {name!r}")
                named[name] = target
    return named


def _literals(node: ast.ClassDef, attribute: str) -> list[str]:
    """Return the string that a class body assigns to an attribute, in a list; empty if there is none."""
    values = [s.value for s in node.body if isinstance(s, ast.Assign) and assigns(s, attribute)]
    return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def resolve_expression(module: Module, expression: ast.expr) -> ClassSource | None:
    """Return the class that `Name`, `package.Name` or `Name[...]` means inside a module."""
    if isinstance(expression, ast.Subscript):
        expression = expression.value
    try:
        if isinstance(expression, ast.Name):
            return _lookup(module, expression.id, 1)
        if isinstance(expression, ast.Attribute):
            head, *tail = ast.unparse(expression).split(".")
            for statement in top_level(module.tree.body):
                if isinstance(statement, ast.Import):
                    for alias in statement.names:
                        if (alias.asname or alias.name.split(".")[0]) == head:
                            return find_class(".".join([alias.name if alias.asname else head, *tail]))
                elif isinstance(statement, ast.ImportFrom):
                    for alias in statement.names:
                        if (alias.asname or alias.name) == head:
                            return find_class(".".join([imported_from(module, statement), alias.name, *tail]))
    except TargetError:
        return None
    return None


def imported_from(module: Module, statement: ast.ImportFrom) -> str:
    """Return the absolute module name of a `from ... import`."""
    if statement.level == 0:
        return statement.module or ""
    is_package = module.path.name == "__init__.py"
    base = module.name.split(".")
    base = base[: len(base) - statement.level + (1 if is_package else 0)]
    return ".".join([*base, *([statement.module] if statement.module else [])])


def assigns(statement: ast.Assign, name: str) -> bool:
    """Whether a statement assigns this name."""
    return any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)


def top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Return the statements of a module, also those inside top-level `if` and `try`."""
    flat: list[ast.stmt] = []
    for statement in body:
        flat.append(statement)
        if isinstance(statement, ast.If):
            flat += top_level(statement.body) + top_level(statement.orelse)
        elif isinstance(statement, ast.Try):
            flat += top_level(statement.body) + [s for h in statement.handlers for s in top_level(h.body)]
    return flat


def _class_names(module: Module) -> list[str]:
    names = []
    for statement in top_level(module.tree.body):
        if isinstance(statement, ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.ImportFrom) and statement.module not in ("typing", "collections.abc", "abc"):
            names += [alias.asname or alias.name for alias in statement.names]
    suffix = _export_suffix(module)
    names += [] if suffix is None else offered(module.path.parent, suffix)
    return [name for name in names if name[:1].isupper()]


def _submodules(module: Module) -> list[str]:
    if module.path.name != "__init__.py" or not module.path.parent.is_dir():
        return []
    return [p.stem for p in module.path.parent.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()]

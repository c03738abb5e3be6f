"""Packages that export the classes and functions of their modules: found in the sources, imported on first use."""

import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

_DEFINITION = re.compile(r"^(?:class|def) ([A-Za-z]\w*)", re.MULTILINE)


def lazy_exports(
    package: str, suffix: str = "", convert: Callable[[Any], Any] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package, so that a new module needs no entry in a list.

    The package exports every public class and function that a module below it defines. `aigc.config.class_sources`
    finds the same names without importing anything, so that a `_target_` may use them.

    Args:
        package: `__name__` of the package.
        suffix: A class `NameSuffix` is also exported as `Name`.
        convert: Converts `NameSuffix` to `Name`.
    """

    def find(name: str) -> Any:
        module = sys.modules[package]
        found = None if name.startswith("_") else locate(Path(module.__path__[0]), name, suffix)
        if found is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        inner, defined = found
        value = getattr(import_module(f"{package}.{inner}"), defined)
        if defined != name and convert is not None:
            value = convert(value)
        setattr(module, name, value)
        return value

    return find, lambda: offered(Path(sys.modules[package].__path__[0]), suffix)


def locate(folder: Path, name: str, suffix: str = "") -> tuple[str, str] | None:
    """Find the module below a package, and the name in it, that the package offers as `name`; None if there is none.

    Raises:
        AttributeError: Several modules define it.
    """
    names = definitions(folder)
    for defined in (name, f"{name}{suffix}"):
        modules = names.get(defined, [])
        if len(modules) > 1:
            raise AttributeError(f"{defined} is defined in {' and '.join(modules)} of {folder}: name the module")
        if modules:
            return modules[0], defined
    return None


def offered(folder: Path, suffix: str = "") -> list[str]:
    """Return all names that a package exports, sorted."""
    names = set(definitions(folder))
    short = {name.removesuffix(suffix) for name in names if suffix and name != suffix}
    return sorted(names | short)


@cache
def definitions(folder: Path) -> Mapping[str, list[str]]:
    """Map each public class and function to the modules below a folder that define it, as dotted relative names."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        if path.name != "__init__.py":
            module = ".".join(path.relative_to(folder).with_suffix("").parts)
            for name in _DEFINITION.findall(path.read_text(encoding="utf-8")):
                found.setdefault(name, []).append(module)
    return found

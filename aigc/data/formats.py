"""Formats are found by their files: a module of a package of formats that has a `FORMAT` adds one."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeVar

Format = TypeVar("Format")


@cache
def find_formats(package: str, kind: type[Format]) -> tuple[Format, ...]:
    """Return the `FORMAT` of every module of a package that has one, by the names of the modules.

    Args:
        package: Its dotted name; its modules import nothing heavy, as a command's help lists what they read.
        kind: The class of the formats.
    """
    names = sorted(module.name for module in iter_modules(import_module(package).__path__))
    found = (getattr(import_module(f"{package}.{name}"), "FORMAT", None) for name in names)
    return tuple(one for one in found if isinstance(one, kind))

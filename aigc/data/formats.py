"""Formats are found by their files: a module of a package of formats that has a `FORMAT` adds one."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any, TypeVar

from aigc.config.trust import TRUSTED, trusted_packages
from aigc.errors import InputError

Format = TypeVar("Format")


def find_formats(package: str, kind: type[Format]) -> tuple[Format, ...]:
    """Return the `FORMAT` of every module of a package that has one, by the names of the modules.

    The packages that a person trusts have formats of their own at the same place: `my_package.data.text.formats`
    beside `aigc.data.text.formats`. These come first.

    Args:
        package: Its dotted name; its modules import nothing heavy, as a command's help lists what they read.
        kind: The class of the formats.

    Raises:
        InputError: A module of a trusted package cannot be imported.
    """
    own = [name for name in trusted_packages() if name not in TRUSTED]
    found = [one for name in own for one in _own_formats(f"{name}.{package.partition('.')[2]}")]
    return tuple(one for one in (*found, *_formats(package)) if isinstance(one, kind))


@cache
def _formats(package: str) -> tuple[Any, ...]:
    names = sorted(module.name for module in iter_modules(import_module(package).__path__))
    return tuple(getattr(import_module(f"{package}.{name}"), "FORMAT", None) for name in names)


@cache
def _own_formats(package: str) -> tuple[Any, ...]:
    try:
        return _formats(package) if find_spec(package) else ()
    except ModuleNotFoundError as error:
        if error.name and f"{package}.".startswith(f"{error.name}."):  # the package has no such place
            return ()
        raise InputError(f"the formats in {package} cannot be imported: {error}") from error
    except Exception as error:  # a person's module may raise anything
        raise InputError(f"the formats in {package} cannot be imported: {error}") from error

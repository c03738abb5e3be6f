"""Names that stand for a class in place of a `_target_` node, read from the sources: nothing is imported."""

from collections.abc import Iterator
from pkgutil import iter_modules
from typing import Any

from aigc.config.class_sources import TargetError, find_module, named_classes
from aigc.config.problems import choices
from aigc.config.types import Parameter, Slot, mismatches, shown


def value_problems(key: str, value: Any, parameter: Parameter) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of a value that is not of the type of its parameter, or names no class."""
    if isinstance(value, str) and parameter.slot and parameter.slot.names:
        try:
            names = part_names(parameter.slot)
        except TargetError as error:
            yield key, str(error)
            return
        if value not in names:
            yield key, f"{shown(value)} is not known. {choices(value, names)} A class of your own is named by _target_."
        return
    yield from mismatches(key, value, parameter.type)


def part_names(slot: Slot) -> list[str]:
    """Return the names that a slot takes, in alphabetical order; none where it takes nodes alone.

    Raises:
        TargetError: There is no such package, or two classes have one name.
    """
    if not slot.names:
        return []
    if slot.attribute:
        return sorted(named_classes(slot.names, slot.attribute))
    package = find_module(slot.names)
    if package is None:
        raise TargetError(f"there is no package {slot.names!r} here")
    return sorted(module.name for module in iter_modules([str(package.path.parent)]))

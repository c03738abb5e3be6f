"""Mappings of a JSON file as dataclasses; unknown entries of other versions are kept, missing ones have defaults."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Self


@dataclass(kw_only=True)
class Entry:
    """A mapping with named fields; a new entry of the file is one field of a subclass.

    A field that has its default is left out of the file, unless it is declared by `always`.
    """

    others: dict[str, Any] = field(default_factory=dict, repr=False)
    """Entries of other versions, as in the file."""

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a mapping of the file; raises TypeError for anything else."""
        named = {one.name: one for one in fields(cls) if one.name != "others"}
        known = {name: _entries(named[name], value) for name, value in {**content}.items() if name in named}
        return cls(**known, others={name: value for name, value in content.items() if name not in named})

    def as_dict(self) -> dict[str, Any]:
        """Return the content for the file."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "others" and (one.metadata.get("always") or value != _default(one)):
                found[one.name] = _plain(value)
        return found | self.others


def always(default: Any = None, of: type[Entry] | None = None) -> Any:
    """Declare a field that is written even where it has its default.

    Args:
        default: The default; a type makes a new value for each entry.
        of: As for `nested`.
    """
    return _field(default, {"always": True, "of": of})


def nested(of: type[Entry], default: Any = None) -> Any:
    """Declare a field that holds an entry of this class, or a list of such entries."""
    return _field(default, {"of": of})


def _field(default: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _entries(one: "Field[Any]", value: Any) -> Any:
    of = one.metadata.get("of")
    if of is None:
        return value
    if not value:
        return _default(one)
    return [of.from_dict(item) for item in value] if isinstance(value, list) else of.from_dict(value)


def _default(one: "Field[Any]") -> Any:
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.as_dict() if isinstance(value, Entry) else value

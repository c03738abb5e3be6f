"""Plain trees of mappings and lists, as configs are."""

from collections.abc import Callable
from typing import Any


def map_mappings(tree: Any, change: Callable[[dict[Any, Any]], Any]) -> Any:
    """Return a copy of a tree in which `change` has replaced each mapping, the innermost first."""
    if isinstance(tree, list):
        return [map_mappings(item, change) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return change({name: map_mappings(value, change) for name, value in tree.items()})

"""The size of a config with every interpolation written out, counted without resolving any.

Each of nine keys that refers nine times to the one before makes 9⁹ values, as aliases of YAML do.
"""

import math
import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

_MOST_VALUES = 100_000
_MOST_DEPTH = 60
_TEXT_PER_VALUE = 64
_INNERMOST = re.compile(r"(?<!\\)(?:\\\\)*\$\{([^${}]*)\}")
"""An interpolation without one inside; after a backslash it is a text."""
_OF_KEY = re.compile(r"\s*(?:oc\.select|oc\.deprecated|oc\.dict\.\w+)\s*:\s*([^\s,]+)")
"""A resolver whose first argument is a key."""
_UNKNOWN = "\0"


def oversized(cfg: DictConfig) -> tuple[str, str] | None:
    """Return the key and the problem of a value that refers to more than a config can hold; None if there is none.

    Texts that refer to each other in a circle count nothing: whoever resolves one finds the circle.
    """
    plain = OmegaConf.to_container(cfg, resolve=False)
    sizes = _Sizes(plain)
    for key, text in _texts(plain, ""):
        size = sizes.of_text(text, key, 0)
        if math.isinf(size):
            return key, f"it refers to itself, or by way of more than {_MOST_DEPTH} other keys"
        if size > _MOST_VALUES:
            return key, f"with all that it refers to, it would hold more than {_MOST_VALUES:,} values"
    return None


class _Sizes:
    """Sizes of keys of a plain tree, each counted once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, float] = {}
        self._largest = 1.0

    def of_text(self, text: str, key: str, depth: int) -> float:
        """Return the size of a text at a key, with everything that it refers to."""
        size = 1.0 + len(text) // _TEXT_PER_VALUE
        while "${" in text and size <= _MOST_VALUES:
            found = list(_INNERMOST.finditer(text))
            if not found:
                break
            size += sum(self._of_reference(match[1], key, depth) for match in found)
            text = _INNERMOST.sub(lambda match: self._literal(match[1], key), text)
        self._largest = max(size, self._largest)
        return size

    def _of_reference(self, reference: str, key: str, depth: int) -> float:
        if _UNKNOWN in reference:  # its name is found only when it is resolved: it may be any key
            return self._largest
        resolver = _OF_KEY.match(reference)
        if resolver is None and ":" in reference:
            return 1.0
        return self._of_key(_absolute(resolver[1] if resolver else reference, key), depth)

    def _literal(self, reference: str, key: str) -> str:
        """Return what a reference in the middle of another one stands for, where that is a plain value."""
        node = None if ":" in reference or _UNKNOWN in reference else self._node(_absolute(reference, key))
        plain = isinstance(node, str | int | float) and "${" not in str(node)
        return str(node) if plain else _UNKNOWN

    def _of_key(self, key: str, depth: int) -> float:
        if key in self._known:
            return self._known[key]
        if depth > _MOST_DEPTH:
            return math.inf
        node = self._node(key)
        self._known[key] = math.inf if isinstance(node, dict | list) else 0.0  # what a circle finds
        self._known[key] = self._of_node(node, key, depth + 1)
        return self._known[key]

    def _of_node(self, node: Any, key: str, depth: int) -> float:
        if isinstance(node, dict | list):
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            return 1.0 + sum(self._of_node(value, f"{key}.{name}", depth) for name, value in pairs)
        return self.of_text(node, key, depth) if isinstance(node, str) else 1.0

    def _node(self, key: str) -> Any:
        node = self._root
        for name in key.split(".") if key else []:
            if isinstance(node, list) and name.isdigit() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict):
                node = next((value for own, value in node.items() if str(own) == name), None)
            else:
                return None
        return node


def _absolute(reference: str, key: str) -> str:
    """Return the key that a reference at a key names: `.a` is beside it, `..a` a level above."""
    name = reference.strip().replace("[", ".").replace("]", "") if "[" in reference else reference.strip()
    bare = name.lstrip(".")
    up = len(name) - len(bare)
    if not up:
        return bare
    above = key.split(".")[: -up or None] if up <= key.count(".") + 1 else []
    return ".".join([*above, bare]) if bare else ".".join(above)


def _texts(node: Any, key: str) -> list[tuple[str, str]]:
    """Return every text with an interpolation, with its key."""
    if isinstance(node, str):
        return [(key, node)] if "${" in node else []
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for name, value in pairs for found in _texts(value, f"{key}.{name}" if key else str(name))]

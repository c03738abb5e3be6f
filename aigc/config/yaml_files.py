"""YAML files that a person or another program wrote, read so that no content can do more than be data."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import get_yaml_loader
from omegaconf.errors import OmegaConfBaseException

from aigc.config.locate import shown_path
from aigc.config.problems import ConfigError, Problem
from aigc.config.references import reason
from aigc.files.text import UnreadableTextError, decode_text

_MOST_DEPTH = 60
_MOST_VALUES = 100_000
_MOST_DIGITS = 400
_PLAIN = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}


@dataclass(frozen=True)
class YamlFile:
    """The content of a YAML file."""

    path: Path
    text: str
    """Without a byte order mark."""
    value: Any
    """Plain mappings, lists and scalars; None for an empty file. It is shared: do not change it."""
    lines: dict[str, int]
    """Every dotted key with its line, counted from 1; items of lists as `defaults[0]`."""

    def error(self, what: str, key: str = "", line: int | None = None) -> ConfigError:
        """Return an error about a key or a line of the file; the line of a key is that which sets it."""
        number = self.lines.get(key, 1) if line is None else line
        return ConfigError([Problem(key, what, f"{shown_path(self.path)}:{number}")])

    def config(self) -> DictConfig:
        """Return a copy of the content.

        Raises:
            ConfigError: It is not a mapping, or holds a malformed interpolation or key.
        """
        if not isinstance(self.value, dict | None):
            raise self.error("a config file holds keys and values")
        try:
            made = OmegaConf.create(self.value or {})
        except OmegaConfBaseException as error:
            raise self.error(reason(error), str(error.full_key or "")) from error
        assert isinstance(made, DictConfig)
        return made


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file as OmegaConf does, with a limit to what it can hold.

    Raises:
        ConfigError: It cannot be read, is not UTF-8, is no YAML, or holds more than data; the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem("", f"cannot be read: {error.strerror}", shown_path(path))]) from error
    return _parse(path, content)


@lru_cache(maxsize=1024)
def _parse(path: Path, content: bytes) -> YamlFile:
    text = _decode(path, content)
    try:
        _check_depth(path, text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return YamlFile(path, text, None, {})
            _check_size(path, node)
            lines = dict(_lines(path, node, ""))
            return YamlFile(path, text, loader.construct_document(node), lines)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown_path(path)}:{mark.line + 1}:{mark.column + 1}" if mark else shown_path(path)
        what = f"invalid YAML: {error.problem or error.context}"
        at_mark = [line[mark.column :] for line in text.splitlines()[mark.line : mark.line + 1]] if mark else []
        if any(rest.startswith("\t") for rest in at_mark):
            what = "invalid YAML: a tab; indent with spaces"
        raise ConfigError([Problem("", what, where)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = error.character  # CSafeLoader gives its number
        number = ord(character) if isinstance(character, str) else character
        what = f"invalid YAML: the character U+{number:04X} is not allowed"
        raise ConfigError([Problem("", what, f"{shown_path(path)}:{line}")]) from error


def _decode(path: Path, content: bytes) -> str:
    try:
        return decode_text(content, shown_path(path))
    except UnreadableTextError as error:
        raise ConfigError([Problem("", error.what, f"{error.name}:{error.line or 1}")]) from error


class _Loader(yaml.CSafeLoader):
    """OmegaConf's rules for scalars and repeated keys, read in C."""

    yaml_implicit_resolvers = get_yaml_loader().yaml_implicit_resolvers

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value}", key.start_mark)
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return made


def _check_depth(path: Path, text: str) -> None:
    """Check the nesting by the events of the parser, which unlike a tree need no recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MOST_DEPTH:
                mark = event.start_mark
                where = f"{shown_path(path)}:{mark.line + 1}" if mark else shown_path(path)
                raise ConfigError([Problem("", f"nested more than {_MOST_DEPTH} levels deep", where)])
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _check_size(path: Path, root: yaml.Node) -> None:
    """Check the number of values with every alias written out; nodes that aliases share are counted once each."""
    counts: dict[int, int | None] = {}

    def count(node: yaml.Node) -> int:
        if id(node) not in counts:
            counts[id(node)] = None  # until its own values are counted
            counts[id(node)] = 1 + sum(map(count, _children(node)))
        found = counts[id(node)]
        where = f"{shown_path(path)}:{node.start_mark.line + 1}"
        if found is None:
            raise ConfigError([Problem("", "an alias inside of what it stands for", where)])
        if found > _MOST_VALUES:
            what = f"more than {_MOST_VALUES:,} values once its aliases are written out"
            raise ConfigError([Problem("", what, where)])
        return found

    count(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [inner for pair in node.value for inner in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _lines(path: Path, node: yaml.Node, key: str) -> Iterator[tuple[str, int]]:
    """Yield keys and their lines, and check each key and value."""
    _check_value(path, node, key)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            _check_value(path, name, key)
            if not isinstance(name, yaml.ScalarNode):
                what = "a list or a mapping is not a key"
                raise ConfigError([Problem(key, what, f"{shown_path(path)}:{name.start_mark.line + 1}")])
            if not name.value:
                raise ConfigError([Problem(key, "an empty key", f"{shown_path(path)}:{name.start_mark.line + 1}")])
            inner = f"{key}.{name.value}" if key else str(name.value)
            if name.tag.rpartition(":")[2] not in ("str", "merge", *(["int"] if key else [])):
                what = f"YAML takes {name.value} for a value of another type than text; put it in quotes"
                raise ConfigError([Problem(inner, what, f"{shown_path(path)}:{name.start_mark.line + 1}")])
            yield inner, name.start_mark.line + 1
            yield from _lines(path, value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield f"{key}[{index}]", value.start_mark.line + 1
            yield from _lines(path, value, f"{key}[{index}]")


def _check_value(path: Path, node: yaml.Node, key: str) -> None:
    what = ""
    if isinstance(node.value, str) and "\0" in node.value:
        what = "a text with a NUL character, which no name and no text has"
    elif node.tag not in _PLAIN:
        what = f"the tag {node.tag} is not allowed; a value is a text, a number, true, false, null, a list or a mapping"
    elif node.tag.endswith(":int") and node.value.lstrip("+-").startswith("0") and node.value.lstrip("+-0").isdigit():
        what = f"{node.value} begins with 0, which YAML takes for base 8; leave the 0 out, or quote a text"
    elif node.tag.endswith((":int", ":float")) and ":" in node.value:
        what = f"YAML takes {node.value} for a number of base 60; quote it, as a text"
    elif node.tag.endswith(":int") and len(node.value) > _MOST_DIGITS:
        what = f"a number of more than {_MOST_DIGITS} digits"
    if what:
        raise ConfigError([Problem(key, what, f"{shown_path(path)}:{node.start_mark.line + 1}")])

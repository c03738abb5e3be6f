"""The file and line that set each key, read from the YAML files, as Hydra does not keep them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import yaml
from omegaconf import DictConfig

from aigc.config.locate import shown_path
from aigc.config.problems import ConfigError, Problem

COMMAND_LINE = "command line"


class Origins:
    """Origins of values by key, as `file:line` or `command line: what was typed`."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}
        self.implied = ""
        """The file of the experiment that was not typed but comes from the defaults list."""

    def read(self, path: Path, package: str) -> None:
        """Record every key of one file; `package` is the key it is merged into, empty for the root."""
        for key, line in key_lines(path):
            if key.split(".")[0] != "defaults":
                self._origins[f"{package}.{key}" if package else key] = f"{shown_path(path)}:{line}"

    def emptied(self, key: str, path: Path) -> None:
        """Record a slot that the defaults list of a file leaves empty, in place of all keys below it."""
        lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        line = next((number for number, text in lines if f"override /{key}:" in text), 1)
        self._replace(key, f"{shown_path(path)}:{line}")

    def typed(self, key: str, text: str) -> None:
        """Record a key that was set on the command line, with all keys below it."""
        origin = f"{COMMAND_LINE}: {text}"
        self._replace(key, origin)
        while "." in key:
            key = key.rpartition(".")[0]
            self._origins.setdefault(key, origin)

    def _replace(self, key: str, origin: str) -> None:
        self._origins = {name: old for name, old in self._origins.items() if not name.startswith(f"{key}.")}
        self._origins[key] = origin

    def hint(self, key: str) -> str:
        """Return advice for a problem with a key that the implied experiment sets; empty for other keys."""
        set_by_it = self.implied and self.of(key).startswith(f"{self.implied}:")
        return "; experiment=null leaves out what the default experiment sets" if set_by_it else ""

    def of(self, key: str) -> str:
        """Return where the key, or the nearest key above it, was set; empty when it was not."""
        key = key.partition("[")[0]
        while key:
            if key in self._origins:
                return self._origins[key]
            key = key.rpartition(".")[0]
        return ""


def origins_of(cfg: DictConfig) -> Origins:
    """Return where the keys of a composed config were set; empty for a config that was not composed here."""
    found = cfg.__dict__.get("_aigc_origins")
    return found if isinstance(found, Origins) else Origins()


def set_origins(cfg: DictConfig, origins: Origins) -> None:
    """Keep the origins beside the config, as OmegaConf itself has no field for them."""
    cfg.__dict__["_aigc_origins"] = origins


@contextmanager
def locating(cfg: DictConfig) -> Iterator[None]:
    """Add where keys were set to the problems that an object finds while it is built, as it does not know."""
    try:
        yield
    except ConfigError as error:
        origins = origins_of(cfg)
        located = [replace(one, origin=one.origin or origins.of(one.key)) for one in error.problems]
        raise ConfigError(located) from error


def key_lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield every dotted key of a YAML file with its line, counted from 1."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = shown_path(path) + (f":{mark.line + 1}:{mark.column + 1}" if mark else "")
        raise ConfigError([Problem("", f"invalid YAML: {error.problem}", where)]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem("", f"not UTF-8 at byte {error.start}", shown_path(path))]) from error
    if root is not None:
        yield from _walk(root, "")


def _walk(node: yaml.Node, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            yield name, key.start_mark.line + 1
            yield from _walk(value, name + ".")

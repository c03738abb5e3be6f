"""The file and line that set each key, read from the YAML files, as Hydra does not keep them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from omegaconf import DictConfig

from aigc.config.locate import shown_path
from aigc.config.problems import ConfigError
from aigc.config.yaml_files import YamlFile

COMMAND_LINE = "command line"


class Origins:
    """Origins of values by key, as `file:line` or `command line: what was typed`."""

    def __init__(self) -> None:
        self._origins: dict[str, str] = {}
        self._above: dict[str, str] = {}
        """Origins of keys that only a typed key below them has set; they say nothing of its siblings."""
        self._left_out: dict[str, list[str]] = {}
        self._notes: list[str] = []

    def read(self, file: YamlFile, package: str) -> None:
        """Record every key of one file; `package` is the key it is merged into, empty for the root."""
        if package:
            self._origins.setdefault(package, f"{shown_path(file.path)}:1")
        for key, line in file.lines.items():
            if key.partition(".")[0].partition("[")[0] != "defaults":
                self._origins[f"{package}.{key}" if package else key] = f"{shown_path(file.path)}:{line}"

    def emptied(self, key: str, file: YamlFile) -> None:
        """Record a slot that the defaults list of a file leaves empty, in place of all keys below it."""
        line = next((number for name, number in file.lines.items() if name.endswith(f".override /{key}")), 1)
        self._replace(key, f"{shown_path(file.path)}:{line}")

    def leave_out(self, key: str, typed: str) -> None:
        """Record that a key has no effect, as what was typed replaces what it belongs to."""
        self._left_out.setdefault(typed, []).append(f"{key} ({self.of(key)})")
        self._origins = {name: old for name, old in self._origins.items() if f"{name}.".find(f"{key}.") != 0}

    def note(self, text: str) -> None:
        """Add to the notes."""
        self._notes.append(text)

    @property
    def notes(self) -> list[str]:
        """What a person should know of how the config was composed, such as settings that have no effect."""
        return [*self._notes, *(f"{typed} leaves out {', '.join(keys)}" for typed, keys in self._left_out.items())]

    def typed(self, key: str, text: str) -> None:
        """Record a key that was set on the command line, with all keys below it."""
        origin = f"{COMMAND_LINE}: {text}"
        self._replace(key, origin)
        while "." in key:
            key = key.rpartition(".")[0]
            self._above.setdefault(key, origin)

    def _replace(self, key: str, origin: str) -> None:
        self._origins = {name: old for name, old in self._origins.items() if not name.startswith(f"{key}.")}
        self._origins[key] = origin

    def of(self, key: str) -> str:
        """Return where the key, or the nearest key above it, was set; empty when it was not."""
        key = key.partition("[")[0]
        if key in self._above and key not in self._origins:
            return self._above[key]
        while key:
            if key in self._origins:
                return self._origins[key]
            key = key.rpartition(".")[0]
            if f"{key}._target_" in self._origins:  # the class says which keys its node has
                return self._origins[f"{key}._target_"]
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

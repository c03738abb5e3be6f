"""Row labels of a sweep: the keys in which the resolved configs of trials differ."""

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.choices import group_choices
from aigc.config.compose import Composer, fill_defaults
from aigc.config.identity import NOT_COUNTED, written_out
from aigc.config.overrides import parse_overrides
from aigc.config.problems import ConfigError
from aigc.config.renamed import with_new_names
from aigc.config.schema import sections
from aigc.config.yaml_files import read_yaml
from aigc.errors import InputError
from aigc.launch.sweeps.folder import ListedTrial, SweepFolder
from aigc.runs import Run
from aigc.runs.locate import CONFIG_FILE

_ABSENT = object()


def read_config(folder: SweepFolder, trial: ListedTrial) -> dict[str, Any]:
    """Read the config of a started trial from its run folder, updated if an earlier version wrote it.

    Raises:
        InputError: It cannot be read.
    """
    path = folder.runs() / trial.run / CONFIG_FILE
    try:
        found: dict[str, Any] = read_yaml(path).value
    except ConfigError as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or _is_of_this_version(found):
        return found
    updated = Run(path.parent).config
    fill_defaults(updated)
    return OmegaConf.to_container(updated, resolve=False)  # type: ignore[return-value]


def _is_of_this_version(config: dict[str, Any]) -> bool:
    """Whether a frozen config has the names and the keys of today; OmegaConf takes five times as long to read one."""
    whole = all(fields.parameters.keys() <= (config.get(key) or {}).keys() for key, fields in sections().items())
    return whole and with_new_names(config) == config


@dataclass(frozen=True)
class RowLabel:
    """The label of a trial."""

    differs_in: tuple[str, ...]
    """`key=value` of every key in which the trials differ, `~key` where only other trials have the key."""
    shown: tuple[str, ...]
    """The same; of a list's trial what its line says, without the keys of other lines."""


def row_labels(folder: SweepFolder, with_seed: bool = False) -> dict[str, RowLabel]:
    """Return the label of each trial, by run.

    Typed keys come first. Others follow only where typed keys do not explain a difference: `model=gpt2` implies all
    keys of that choice.

    Args:
        folder: The sweep.
        with_seed: Whether to include the seed.
    """
    settings = _Settings()
    trials = [settings.of(folder, trial) for trial in folder.trials()]
    columns: dict[str, list[str | None]] = {}
    for key in _typed_keys([one.listed for one in trials], with_seed):
        given = {one.typed[key].input_line if key in one.typed else None for one in trials}
        column = [settings.value(one, key) for one in trials] if len(given) > 1 else []
        if len(set(column)) > 1:
            columns[key] = column
    started = [number for number, one in enumerate(trials) if one.leaves]
    for key in _differing([trials[number].leaves for number in started]):
        known: dict[tuple[str | None, ...], str] = {}
        for number in started:
            row = tuple(column[number] for column in columns.values())
            value = spelled(trials[number].leaves.get(key, _ABSENT))
            if known.setdefault(row, value) != value:
                columns[key] = [settings.value(one, key) for one in trials]
                break
    texts = {key: [f"~{key}" if one is None else f"{key}={one}" for one in column] for key, column in columns.items()}
    in_lines = {key for one in trials for key in one.line}
    labels = {}
    for number, one in enumerate(trials):
        cells = {key: column[number] for key, column in texts.items()}
        own = {key: text for key, text in one.line.items() if with_seed or key != "seed"}
        others = {key: text for key, text in cells.items() if key not in in_lines} if one.is_of_list else cells
        labels[one.listed.run] = RowLabel(tuple(cells.values()), (*own.values(), *others.values()))
    return labels


def shown(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Format labels: numbers with 4 digits, or as many as distinguish the values of a key."""
    columns: dict[str, dict[str, None]] = {}
    for text in chain.from_iterable(rows):
        columns.setdefault(text.partition("=")[0], {})[text] = None
    short = {
        text: made for column in columns.values() for text, made in zip(column, _shortened(list(column)), strict=True)
    }
    return [" ".join(short[text] for text in row) for row in rows]


def spelled(value: Any) -> str:
    """Return the canonical spelling of a value: 1e-3 becomes 0.001, and a string that looks like a number is quoted."""
    if isinstance(value, str):
        return value if value and not _is_number(value) and value not in ("null", "true", "false") else repr(value)
    if isinstance(value, list):
        return f"[{','.join(map(spelled, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{spelled(one)}" for key, one in value.items()) + "}"
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return json.dumps(value, default=str)


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every (key, value) of a config that is part of its identity."""
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif _counts(prefix):
        yield prefix, node


@dataclass(frozen=True)
class _Trial:
    """One trial: its typed overrides by key, and its config once it has started."""

    listed: ListedTrial
    typed: dict[str, Any]
    own_keys: list[str]
    """The keys of those that not all trials of its command share."""
    config: dict[str, Any]
    leaves: dict[str, Any]

    @property
    def is_of_list(self) -> bool:
        """Whether it is a line of a file."""
        return any(key in self.typed and self.typed[key].value() == "list" for key in ("sweep", "sweep.kind"))

    @property
    def line(self) -> dict[str, str]:
        """What its line of a file says, by key; empty of another trial."""
        typed = (self.typed[key] for key in self.own_keys) if self.is_of_list else ()
        return {one.key_or_group: _as_label(one) for one in typed}


class _Settings:
    """The settings of trials; files and overrides are parsed once."""

    def __init__(self) -> None:
        self._composer = Composer()
        self._composed: dict[tuple[str, ...], DictConfig] = {}
        self._parsed: dict[str, Any] = {}

    def of(self, folder: SweepFolder, trial: ListedTrial) -> _Trial:
        """Read a trial of the folder."""
        config: dict[str, Any] = {}
        with contextlib.suppress(InputError):
            config = read_config(folder, trial)
        typed = {one.key_or_group: one for one in map(self._parse, [*trial.fixed, *trial.overrides])}
        own_keys = [self._parse(text).key_or_group for text in trial.overrides]
        return _Trial(trial, typed, own_keys, config, dict(leaves(written_out(config))) if config else {})

    def value(self, trial: _Trial, key: str) -> str | None:
        """Return the spelled value of a key, or the choice of a group; None where it is not set."""
        typed = trial.typed.get(key)
        is_group = key in group_choices()
        if typed is not None and (is_group or not trial.config):
            return None if typed.is_delete() else spelled(typed.value())
        try:
            if is_group:
                return spelled(self._composer.choices([*trial.listed.fixed, *trial.listed.overrides]).get(key))
            return _spelled_in(trial.config or self._as_planned(trial), key)
        except ConfigError:  # its YAML files have changed since
            return None

    def _as_planned(self, trial: _Trial) -> DictConfig:
        """Compose the config of a trial that has not started, with the group choices among its overrides."""
        groups = [text for text in trial.listed.overrides if self._parse(text).key_or_group in group_choices()]
        words = (*trial.listed.fixed, *groups)
        if words not in self._composed:
            self._composed[words] = self._composer.compose(words)
        return self._composed[words]

    def _parse(self, text: str) -> Any:
        if text not in self._parsed:
            (self._parsed[text],) = parse_overrides([text])
        return self._parsed[text]


def _as_label(override: Any) -> str:
    key = override.key_or_group
    return f"~{key}" if override.is_delete() else f"{key}={spelled(override.value())}"


def _typed_keys(trials: Iterable[ListedTrial], with_seed: bool) -> list[str]:
    """Return the keys that were typed for any trial, swept keys first."""
    words = [text for one in trials for text in one.overrides] + [text for one in trials for text in one.fixed]
    keys = dict.fromkeys(text.partition("=")[0].lstrip("+~") for text in words)
    return [key for key in keys if (key == "experiment" or _counts(key)) and (with_seed or key != "seed")]


def _counts(key: str) -> bool:
    return not any(f"{key}.".startswith(f"{name}.") for name in NOT_COUNTED)


def _differing(trials: Sequence[dict[str, Any]]) -> list[str]:
    keys = dict.fromkeys(key for one in trials for key in one if key.rpartition(".")[2] != "seed")
    return [key for key in keys if len({spelled(one.get(key, _ABSENT)) for one in trials}) > 1]


def _spelled_in(config: Any, key: str) -> str | None:
    node: Any = config
    for name in key.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return None
        node = node[name]
    return spelled(OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node)


def _shortened(column: Sequence[str]) -> list[str]:
    """Round the numbers of one key to as many digits as distinguish them, at least 4."""
    parts = [text.partition("=") for text in column]
    numbers = {value for _, _, value in parts if not value.isdigit() and _is_number(value)}
    digits = next(n for n in range(4, 18) if len({f"{float(one):.{n}g}" for one in numbers}) == len(numbers))
    short = {one: f"{float(one):.{digits}g}" for one in numbers if len(one) > digits + 2}
    return [f"{key}{equals}{short.get(value, value)}" for key, equals, value in parts]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

"""The search space of a sweep: overrides with several values, in Hydra's sweep grammar."""

import itertools
import math
import random
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.config.choices import group_choices
from aigc.config.origins import COMMAND_LINE
from aigc.config.overrides import parse_overrides
from aigc.config.problems import ConfigError, Problem, suggest
from aigc.errors import InputError
from aigc.files.text import UnreadableTextError, read_text


@dataclass(frozen=True)
class Axis:
    """A key and the values it takes.

    Args:
        key: The key, or a config group.
        values: As typed; empty for an interval.
        interval: First value, last value, whether the scale is logarithmic, whether values are whole numbers.
    """

    key: str
    values: tuple[str, ...] = ()
    interval: tuple[float, float, bool, bool] | None = None

    def examples(self) -> tuple[str, ...]:
        """Return all values, or the ends of the interval."""
        if self.interval is None:
            return self.values
        return tuple(str(int(end)) if self.interval[3] else repr(float(end)) for end in self.interval[:2])

    def draw(self, rng: random.Random) -> str:
        """Draw one of its values."""
        if self.interval is None:
            return rng.choice(self.values)
        low, high, logarithmic, whole = self.interval
        value = math.exp(rng.uniform(math.log(low), math.log(high))) if logarithmic else rng.uniform(low, high)
        if whole:
            return str(rng.randint(int(low), int(high)) if not logarithmic else min(int(high), round(value)))
        return repr(min(max(value, low), high))


def split(overrides: Sequence[str]) -> tuple[list[str], list[Axis]]:
    """Split overrides into those with one value, and the axes of those with several.

    Raises:
        ConfigError: An override cannot be parsed, or a glob matches nothing.
    """
    parsed = parse_overrides(overrides, sweeps=True)
    return [o.input_line for o in parsed if not o.is_sweep_override()], [
        _axis(o) for o in parsed if o.is_sweep_override()
    ]


def grid(axes: Sequence[Axis]) -> Iterator[list[str]]:
    """Yield every combination; the last key changes fastest.

    Raises:
        ConfigError: An axis is an interval.
    """
    intervals = [axis for axis in axes if axis.interval is not None]
    if intervals:
        what = "a grid cannot take every value of an interval; sweep=random draws some, or give a list of values"
        raise ConfigError([Problem(axis.key, what, COMMAND_LINE) for axis in intervals])
    for values in itertools.product(*(axis.values for axis in axes)):
        yield [f"{axis.key}={value}" for axis, value in zip(axes, values, strict=True)]


def drawn(axes: Sequence[Axis], count: int, seed: int) -> Iterator[list[str]]:
    """Draw `count` combinations, each repeated for every read_list seed; a larger count only appends to them.

    The seed is drawn like any other key where it is the only one, or has an interval.
    """
    rng = random.Random(seed)
    seeds = [axis for axis in axes if axis.key == "seed" and axis.values and len(axes) > 1]
    for _ in range(count):
        own = [f"{axis.key}={axis.draw(rng)}" for axis in axes if axis not in seeds]
        for more in grid(seeds):
            yield [*own, *more]


def read_list(path: Path) -> Iterator[list[str]]:
    """Yield the overrides of each line of a file, without empty lines and those that start with #.

    Raises:
        InputError: The file or a line cannot be read, or there are no lines.
    """
    try:
        lines = read_text(path).splitlines()
    except UnreadableTextError as error:
        raise InputError(f"sweep.path={error}") from error
    found = False
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = True
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InputError(f"{path}:{number}: {error}; a line holds overrides, quoted as in a shell") from error
        if any(one.is_sweep_override() for one in parse_overrides(words, sweeps=True, origin=f"{path}:{number}")):
            raise InputError(f"{path}:{number}: several values; each line of a list is one trial")
        yield words
    if not found:
        raise InputError(f"sweep.path={path} has no trials: each line holds the overrides of one")


def _axis(override: Any) -> Axis:
    key = override.key_or_group
    if override.is_interval_sweep():
        value = override.value()
        whole = isinstance(value.start, int) and isinstance(value.end, int)
        logarithmic = "log" in value.tags
        if value.start >= value.end or (logarithmic and value.start <= 0):
            what = "an interval needs a smaller and a larger number, both above 0 on a logarithmic scale"
            raise ConfigError([Problem(key, what, f"{COMMAND_LINE}: {override.input_line}")])
        return Axis(key, interval=(value.start, value.end, logarithmic, whole))
    value = override.value()
    if type(value).__name__ == "Glob":
        options = group_choices().get(key, [])
        names = value.filter(options)
        if not names:
            what = (
                f"{override.input_line} matches no choice; choices: {', '.join(options)}"
                if options
                else "no such group"
            )
            near = "" if options else f"; {suggest(key, group_choices())}"
            raise ConfigError([Problem(key, what + near, f"{COMMAND_LINE}: {override.input_line}")])
        return Axis(key, tuple(names))
    return Axis(key, tuple(override.sweep_string_iterator()))

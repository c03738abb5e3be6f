"""Compare two runs: metrics.jsonl bit for bit, and the hashes of the weights."""

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from aigc.runs import metrics_file
from aigc.runs.metrics_file import encode_values

EPOCH = "epoch"
"""A column of metrics.jsonl that is compared like a metric."""
_WEIGHTS = "model/*.safetensors"
_Values = dict[tuple[int, str], tuple[float, ...]]

_RATES = ("_per_second", "/mfu")
"""Ends of names of values that depend on the speed of the machine."""


@dataclass(frozen=True)
class Difference:
    """One value that differs between the runs.

    Attributes:
        step: The optimiser step.
        metric: Name of the metric, or `epoch`.
        old: The value in the first run; None where it is missing.
        new: The value in the second run; None where it is missing.
    """

    step: int
    metric: str
    old: float | None
    new: float | None

    @property
    def absolute(self) -> float | None:
        """Absolute difference; None when a value is missing."""
        return None if self.old is None or self.new is None else abs(self.new - self.old)

    @property
    def relative(self) -> float | None:
        """Difference relative to the first value; infinite when that is 0."""
        if self.old is None or self.new is None:
            return None
        difference = abs(self.new - self.old)
        return difference / abs(self.old) if self.old else math.inf if difference else 0.0

    def __str__(self) -> str:
        where = f"at step {self.step}: {self.metric}"
        if self.new is None:
            return f"{where} was {self.old!r}, is missing"
        if self.old is None:
            return f"{where} was missing, is {self.new!r}"
        return f"{where} was {self.old!r}, is {self.new!r} (by {self.absolute:.3g}, relative {self.relative:.3g})"

    def as_dict(self) -> dict[str, Any]:
        """Return values that JSON can hold; NaN and infinities are strings."""
        numbers = {"old": self.old, "new": self.new, "absolute": self.absolute, "relative": self.relative}
        known = {name: value for name, value in numbers.items() if value is not None}
        return {"step": self.step, "metric": self.metric} | dict.fromkeys(numbers) | encode_values(known)


@dataclass(frozen=True)
class MetricsComparison:
    """Comparison of two metrics.jsonl.

    Attributes:
        steps: The last step with a compared value.
        metrics: Number of distinct metrics compared.
        values: Number of values compared.
        differences: The differences, in the order of the steps.
    """

    steps: int
    metrics: int
    values: int
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        """Whether there were values to compare and all of them were equal."""
        return self.values > 0 and not self.differences

    @property
    def first(self) -> Difference | None:
        """The first value that differs."""
        return self.differences[0] if self.differences else None

    @property
    def missing(self) -> tuple[Difference, ...]:
        """Values that only the first run has."""
        return tuple(difference for difference in self.differences if difference.new is None)

    @property
    def extra(self) -> tuple[Difference, ...]:
        """Values that only the second run has."""
        return tuple(difference for difference in self.differences if difference.old is None)


@dataclass(frozen=True)
class WeightsComparison:
    """Comparison of the weights of two runs by their hashes.

    Attributes:
        files: Hashes in the first and the second run by file name; None where the file is missing.
    """

    files: Mapping[str, tuple[str | None, str | None]]

    @property
    def identical(self) -> bool:
        """Whether every file has the same bytes in both."""
        return not self.differing

    @property
    def differing(self) -> tuple[str, ...]:
        """Files that differ."""
        return tuple(name for name, (old, new) in self.files.items() if old != new)

    @property
    def digest(self) -> str:
        """One hash of all weights of the first run; that of the file itself where there is only one."""
        hashes = [str(old) for old, _ in self.files.values()]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def compare_metrics(old: Path, new: Path, until_step: int | None = None) -> MetricsComparison:
    """Compare two metrics.jsonl value by value: all 64 bits must be equal, and NaN equals NaN.

    Wall time and rates (`..._per_second`, `.../mfu`) are ignored. A value that was logged twice at one step, as by a
    resumed run, counts once.

    Args:
        old: The first file.
        new: The second file.
        until_step: Compare only up to this step, at which either run may have ended: at this step, values that only
            the second run has and validation values (`val/...`) that it lacks are ignored.

    Raises:
        InputError: A file is damaged.
    """
    before, after = _values(old, until_step), _values(new, until_step)
    order = sorted(dict.fromkeys([*before, *after]), key=lambda key: key[0])  # within a step, in the order of the lines
    compared = [key for key in order if not _is_beyond_end(key, before, after, until_step)]
    differences = [d for key in compared for d in _differences(key, before.get(key, ()), after.get(key, ()))]
    seen = [key for key in compared if key[1] != EPOCH]
    return MetricsComparison(
        steps=max((step for step, _ in seen), default=0),
        metrics=len({name for _, name in seen}),
        values=sum(max(len(before.get(key, ())), len(after.get(key, ()))) for key in seen),
        differences=tuple(differences),
    )


def compare_weights(old: Mapping[str, Any], new: Mapping[str, Any]) -> WeightsComparison | None:
    """Compare the hashes of model/*.safetensors in two manifests; None when the first run has no such file."""
    before, after = ({n: h for n, h in (m.get("artifacts") or {}).items() if fnmatch(n, _WEIGHTS)} for m in (old, new))
    if not before:
        return None
    return WeightsComparison({name: (before.get(name), after.get(name)) for name in sorted(before | after)})


def logged_steps(path: Path) -> list[int]:
    """Return the steps that have a comparable value, in order.

    Raises:
        InputError: The file is damaged.
    """
    return sorted({step for step, _ in _values(path, None)})


def _values(path: Path, until_step: int | None) -> _Values:
    """Return the distinct values of each step and name, in the order of the lines."""
    found: dict[tuple[int, str], list[float]] = {}
    for row in metrics_file.read_lines(path):
        if until_step is not None and row["step"] > until_step:
            continue
        for name, value in _compared(row):
            values = found.setdefault((row["step"], name), [])
            if name == EPOCH and values:
                continue  # an earlier version wrote several rows for a step, the last ones perhaps in the next epoch
            if all(_bits(value) != _bits(known) for known in values):
                values.append(value)
    return {key: tuple(values) for key, values in found.items()}


def _compared(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    names = [name for name in row if name not in metrics_file.FIXED_COLUMNS and not name.endswith(_RATES)]
    if names:
        yield from ((name, row[name]) for name in names)
        yield EPOCH, float(row["epoch"])


def _is_beyond_end(key: tuple[int, str], before: _Values, after: _Values, until_step: int | None) -> bool:
    """Whether only one run has this value because the other one ended at this step."""
    step, name = key
    from_validation = name == EPOCH or name.startswith("val/")
    return step == until_step and (key not in before or (key not in after and from_validation))


def _differences(key: tuple[int, str], old: Iterable[float], new: Iterable[float]) -> Iterator[Difference]:
    olds, news = list(old), list(new)
    for index in range(max(len(olds), len(news))):
        one = olds[index] if index < len(olds) else None
        other = news[index] if index < len(news) else None
        if one is None or other is None or _bits(one) != _bits(other):
            yield Difference(*key, one, other)


def _bits(value: float) -> bytes:
    """Return the bits of a float64; all NaNs have the same."""
    return struct.pack(">d", math.nan if math.isnan(value) else value)

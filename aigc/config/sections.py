"""Settings of sections whose types alone do not say what is right."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aigc.config.types import shown
from aigc.files.names import name_problem

_TIME = re.compile(r"\d+:\d\d:\d\d:\d\d")
_NAMES = {"run": "id", "sweep": "name"}
"""The key of each section that names a folder."""


def section_problems(section: str, settings: Any) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of each value of a right type that cannot be, or does not fit the others."""
    if not isinstance(settings, Mapping):
        return
    if section == "trainer":
        yield from _length_problems(settings)
    if section == "callbacks":
        yield from _timer_problems(settings)
    name = settings.get(key) if (key := _NAMES.get(section)) else None
    if isinstance(name, str) and (what := name_problem(name)):
        yield f"{section}.{key}", what


def _length_problems(trainer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    steps, epochs = trainer.get("max_steps"), trainer.get("max_epochs")
    if steps is None and epochs is None:
        yield "trainer.max_steps", "nothing ends training: set trainer.max_steps or trainer.max_epochs"
    least = trainer.get("min_steps")
    if isinstance(least, int) and isinstance(steps, int) and least > steps:
        yield "trainer.min_steps", f"{least} is more than trainer.max_steps, which is {steps}"
    yield from _time_problems("trainer.max_time", trainer.get("max_time"))


def _timer_problems(callbacks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the problems of Lightning's timers, which refuse a duration only when they are built."""
    for name, node in callbacks.items():
        target = node.get("_target_") if isinstance(node, Mapping) else None
        if isinstance(target, str) and target.startswith("pytorch_lightning.") and target.endswith(".Timer"):
            yield from _time_problems(f"callbacks.{name}.duration", node.get("duration"))


def _time_problems(key: str, time: Any) -> Iterator[tuple[str, str]]:
    if isinstance(time, str) and not (_TIME.fullmatch(time) and time.strip("0:")):
        what = 'is not a time; write days:hours:minutes:seconds, in YAML with quotes: "00:08:30:00"'
        yield key, f"{shown(time)} {what}"

"""What ends training: settings of the trainer that must fit together."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TIME = re.compile(r"\d+:\d\d:\d\d:\d\d")


def length_problems(trainer: Any) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of limits of training that do not fit together, of right types each."""
    if not isinstance(trainer, Mapping):
        return
    steps, epochs = trainer.get("max_steps"), trainer.get("max_epochs")
    if steps is None and epochs is None:
        yield "trainer.max_steps", "nothing ends training: set trainer.max_steps or trainer.max_epochs"
    least = trainer.get("min_steps")
    if isinstance(least, int) and isinstance(steps, int) and least > steps:
        yield "trainer.min_steps", f"{least} is more than trainer.max_steps, which is {steps}"
    time = trainer.get("max_time")
    if isinstance(time, str) and not (_TIME.fullmatch(time) and time.strip("0:")):
        what = 'is not a time; write days:hours:minutes:seconds, in YAML with quotes: "00:08:30:00"'
        yield "trainer.max_time", f"{time!r} {what}"

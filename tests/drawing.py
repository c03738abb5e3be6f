"""What of an enumeration is tried: all with AIGC_TEST_EXHAUSTIVE=1 (`make test-full`), otherwise a few drawn ones.

The draw follows from AIGC_TEST_SEED, which is a new one for each session and is printed; set it to repeat a session.
"""

import os
import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")
EXHAUSTIVE = os.environ.get("AIGC_TEST_EXHAUSTIVE", "") not in ("", "0")


def seed() -> str:
    """The seed of this session; all of its processes have the same."""
    return os.environ.setdefault("AIGC_TEST_SEED", str(random.SystemRandom().randrange(10**6)))


def chance(name: str) -> random.Random:
    """A generator that follows from the seed and a name."""
    return random.Random(f"{seed()} {name}")


def drawn(name: str, items: Sequence[Item], number: int) -> list[Item]:
    """So many of the items, in their order; all of them in an exhaustive session.

    Args:
        name: Gives each enumeration a draw of its own.
        items: The whole enumeration.
        number: How many are drawn.
    """
    if EXHAUSTIVE or number >= len(items):
        return list(items)
    return [items[index] for index in sorted(chance(name).sample(range(len(items)), number))]


def covering(name: str, *axes: Sequence[Item]) -> list[tuple[Item, ...]]:
    """So many combinations that each value of each axis occurs; all combinations in an exhaustive session."""
    combinations: list[tuple[Item, ...]] = [()]
    for axis in axes:
        combinations = [(*one, value) for one in combinations for value in axis]
    if EXHAUSTIVE:
        return combinations
    rows, dice = max(map(len, axes)), chance(name)
    columns = []
    for axis in axes:
        column = [axis[number % len(axis)] for number in range(rows)]
        dice.shuffle(column)
        columns.append(column)
    kept = set(zip(*columns, strict=True))
    return [one for one in combinations if one in kept]

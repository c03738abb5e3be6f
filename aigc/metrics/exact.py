"""Real numbers as integers that may be summed in any order: a float64 sum depends on it in its last bits."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = 3
"""Columns of int64 that one number takes: its whole part, and twice 31 bits behind the point."""
BITS = 31
LIMIT = 2.0**53


def to_digits(values: ArrayLike) -> NDArray[np.int64]:
    """Write numbers as integers, exactly but for what lies below 2**-62.

    Args:
        values: Finite numbers of any shape, of magnitude below 2**53.

    Returns:
        int64 of that shape and one axis more, of length `DIGITS`, all of the sign of the number. Sums of up to 2**32
        of them do not overflow, as long as their whole parts add up to less than 2**63.

    Raises:
        ValueError: A number is not finite or too large.
    """
    rest = np.asarray(values, dtype=np.float64)
    if not np.all(np.abs(rest) < LIMIT):
        raise ValueError(f"only finite numbers below {LIMIT:.0f} have digits")
    digits = np.empty((*rest.shape, DIGITS), dtype=np.int64)
    for place in range(DIGITS):
        whole = np.trunc(rest)  # towards 0: what is left is exact, also of a negative number
        digits[..., place] = whole
        rest = (rest - whole) * 2.0**BITS
    return digits


def from_digits(digits: Sequence[int] | NDArray[np.int64]) -> float:
    """The nearest float64 to the number that `DIGITS` integers stand for, be they of one number or of a sum."""
    total = 0
    for digit in digits:
        total = (total << BITS) + int(digit)
    return total / (1 << BITS * (DIGITS - 1))

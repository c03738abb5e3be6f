"""Quantiles of Student's t for integer degrees of freedom, without SciPy, which doubles the start time of a command."""

import math


def two_sided(level: float, freedom: int) -> float:
    """Return the t for which the given share of the distribution is between -t and t.

    Args:
        level: The share, between 0 and 1: 0.95 for a 95 % interval.
        freedom: Degrees of freedom, at least 1.

    Source: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4, solved by bisection to float64.
    """
    low, high = 0.0, 1.0
    while share_within(high, freedom) < level:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if share_within(middle, freedom) < level else (low, middle)
    return (low + high) / 2


def share_within(t: float, freedom: int) -> float:
    """Return the share of the distribution between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for number in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total

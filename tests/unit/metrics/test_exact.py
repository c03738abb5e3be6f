"""Numbers as integers that any order adds up to the same sum."""

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.metrics.exact import BITS, DIGITS, from_digits, to_digits

LAST = Fraction(1, 2 ** (BITS * (DIGITS - 1)))
numbers = st.floats(-(2.0**52), 2.0**52, exclude_min=True, exclude_max=True, allow_nan=False)
small = st.floats(-1, 1)
# These have no bit below the last place: their digits are exact.
exact = st.builds(math.ldexp, st.integers(-(2**53) + 1, 2**53 - 1), st.integers(-62, -1))


def value(digits: np.ndarray) -> Fraction:
    return sum((Fraction(int(digit), 2 ** (BITS * place)) for place, digit in enumerate(digits)), Fraction(0))


@given(numbers | small)
@settings(max_examples=300, deadline=None)
def test_digits_are_the_number_up_to_the_last_place(number: float) -> None:
    digits = to_digits(number)
    assert digits.dtype == np.int64
    assert digits.shape == (DIGITS,)
    assert abs(value(digits) - Fraction(number)) < LAST
    assert from_digits(digits) == float(value(digits))
    assert abs(Fraction(from_digits(digits)) - Fraction(number)) <= LAST


@given(exact | st.integers(-(2**53) + 1, 2**53 - 1).map(float))
@settings(max_examples=300, deadline=None)
def test_a_number_with_few_bits_behind_the_point_comes_back(number: float) -> None:
    assert from_digits(to_digits(number)) == number
    assert from_digits(to_digits(-number)) == -number


@given(st.lists(exact | st.floats(0, 1).map(lambda x: math.floor(x * 2**53) / 2**53), max_size=20))
@settings(max_examples=150, deadline=None)
def test_a_sum_is_the_exact_one_rounded_once(values: list[float]) -> None:
    expected = float(sum(map(Fraction, values), Fraction(0)))
    digits = to_digits(np.array(values))
    assert digits.shape == (len(values), DIGITS)
    assert from_digits(digits.sum(axis=0)) == expected
    assert from_digits(digits[::-1].cumsum(axis=0)[-1] if values else [0] * DIGITS) == expected


def test_the_order_of_a_sum_does_not_count_where_it_does_in_float64() -> None:
    chance = random.Random(0)
    values = [chance.uniform(-1, 1) / 3 ** chance.randint(0, 20) for _ in range(300)]
    orders = [chance.sample(values, len(values)) for _ in range(20)]
    assert len({sum(order) for order in orders}) > 1, "a negative control"
    assert len({from_digits(to_digits(order).sum(axis=0)) for order in orders}) == 1


def test_the_shape_is_kept() -> None:
    values = np.arange(-12, 12).reshape(2, 3, 4) / 7
    digits = to_digits(values)
    assert digits.shape == (2, 3, 4, DIGITS)
    for place in itertools.product(range(2), range(3), range(4)):
        assert from_digits(digits[place]) == values[place]
    assert to_digits([]).shape == (0, DIGITS)


def test_large_sums_do_not_overflow() -> None:
    almost = math.nextafter(1.0, 0.0)
    digits = to_digits([almost, -almost]) * 2**32
    assert from_digits(digits[0]) == almost * 2**32
    assert from_digits(digits[1]) == -almost * 2**32


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 2.0**53])
def test_what_has_no_digits_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        to_digits([1.0, number])

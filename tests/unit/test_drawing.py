"""What is drawn of an enumeration follows from the seed, and leaves out no value of an axis."""

import pytest

from tests import drawing
from tests.drawing import covering, drawn


@pytest.fixture
def draws(monkeypatch):
    """A session that draws."""
    monkeypatch.setattr(drawing, "EXHAUSTIVE", False)
    return monkeypatch


def test_the_same_seed_draws_the_same_and_another_one_something_else(draws):
    found = []
    for seed in ("1", "1", "2"):
        draws.setenv("AIGC_TEST_SEED", seed)
        found.append(drawn("places", range(1000), 10))
    assert found[0] == found[1] != found[2]
    assert found[0] == sorted(set(found[0]))
    assert drawn("others", range(1000), 10) != found[2]


@pytest.mark.parametrize("seed", range(5))
def test_each_value_of_each_axis_is_tried(draws, seed):
    draws.setenv("AIGC_TEST_SEED", str(seed))
    found = covering("cases", "abcdef", [1, 2, 3, 4], [True, False])
    assert 6 <= len(found) < 6 * 4 * 2
    assert [set(axis) for axis in zip(*found, strict=True)] == [set("abcdef"), {1, 2, 3, 4}, {True, False}]


def test_an_exhaustive_session_tries_all(monkeypatch):
    monkeypatch.setattr(drawing, "EXHAUSTIVE", True)
    assert drawn("places", range(20), 3) == list(range(20))
    assert len(covering("cases", "abc", [1, 2])) == 6

"""Any number of ranks gives the score of one process, bit for bit."""

import json
from typing import Any

import pytest

from tests.launch.modules import run_module
from tests.unit.metrics.text_ranks import GATHERED, METRICS, WORLDS

pytestmark = pytest.mark.slow
RANKS = [(world, rank) for world in WORLDS for rank in range(world)]
Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What each rank of each world found, and one process alone: `found["3-0"]["bleu:True"]`, `found["alone"]`."""
    place = tmp_path_factory.mktemp("ranks")
    run_module("tests.unit.metrics.text_ranks", place)
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in place.glob("*.json")}


def of_all_ranks(found: Found, name: str) -> list[tuple[str, Found]]:
    """What each rank of each world found for a metric, and where; a rank without texts was told so, and was not."""
    cases = [(world, rank, told) for world, rank in RANKS for told in (False, True)]
    return [(str(case), found[f"{case[0]}-{case[1]}"][f"{name}:{case[2]}"]) for case in cases]


def test_ranks_say_what_one_process_says(found: Found) -> None:
    """After the second time the last rank alone has seen more; nothing is counted twice."""
    for name in METRICS:
        alone = found["alone"][name]
        for where, result in of_all_ranks(found, name):
            for when in ("first", "second", "third"):
                assert result[when] == alone["first" if when == "first" else "second"], (name, when, where)


def test_the_last_batch_matters(found: Found) -> None:
    """A negative control of the test above, and of what it compares."""
    for name in METRICS:
        alone = found["alone"][name]
        assert alone["first"]["scores"] != alone["second"]["scores"]
        assert alone["first"]["details"] != alone["second"]["details"]
        assert all(float.fromhex(score) > 0 for score in alone["second"]["scores"].values())


def test_a_compute_is_one_all_reduce_or_two_all_gathers(found: Found) -> None:
    for name in METRICS:
        calls = ["all_gather"] * 2 if name in GATHERED else ["all_reduce"]
        for where, result in of_all_ranks(found, name):
            assert result["calls"] == calls, (name, where)


def test_a_rank_keeps_its_own_state(found: Found) -> None:
    for name in METRICS:
        for where, result in of_all_ranks(found, name):
            assert result["restored"], (name, where)
            assert result["reset"], (name, where)


def test_a_sum_over_ranks_leaves_what_it_sums_as_it_is(found: Found) -> None:
    for world, rank in RANKS:
        assert found[f"{world}-{rank}"]["sum"] == [[sum(range(world)), world], [rank, 1]]


def test_no_text_on_any_rank_is_an_error_and_no_end(found: Found) -> None:
    for name in METRICS:
        for where, result in of_all_ranks(found, name):
            assert "to measure" in result.get("nothing", ""), (name, where)

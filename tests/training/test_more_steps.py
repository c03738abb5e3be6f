"""A finished run that takes more steps is the run that asked for them at the start, to the last bit."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.resumable import differences, final_state, rows, train

pytestmark = pytest.mark.slow

ENDS = {
    "within_an_epoch": 10,
    "at_the_end_of_an_epoch": 12,
    "at_a_validation_within_an_epoch": 18,
    "one_step_after_a_validation": 19,
}
"""Steps at which the run was finished first; values are recorded every 4, and the last step has its own."""
NAMES = ("constant_rate", "two_players", "gan")


def steps(name: str, number: int) -> dict[str, int]:
    """Settings that end a run there; Lightning counts the steps of both optimisers."""
    return {"max_steps": number * (2 if name == "two_players" else 1)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each task's run that asked for all steps at the start."""
    folders = {name: tmp_path_factory.mktemp(name) / "whole" for name in NAMES}
    for name, folder in folders.items():
        assert train(name, folder)
    return folders


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("name", NAMES)
def test_more_steps_give_the_same_bits(name, end, whole, tmp_path):
    assert train(name, tmp_path, **steps(name, ENDS[end]))
    assert max(row["step"] for row in rows(tmp_path)) == ENDS[end] or name == "two_players"
    assert train(name, tmp_path)
    assert differences(final_state(tmp_path), final_state(whole[name])) == []
    assert rows(tmp_path) == rows(whole[name])


def test_a_run_may_finish_several_times(whole, tmp_path):
    for number in (3, 4, 13, 14, 25):
        assert train("constant_rate", tmp_path, **steps("constant_rate", number))
    assert train("constant_rate", tmp_path)
    assert differences(final_state(tmp_path), final_state(whole["constant_rate"])) == []
    assert rows(tmp_path) == rows(whole["constant_rate"])


def forget_what_a_longer_run_needs(state: dict[str, Any]) -> None:
    del state["aigc"]["metrics_if_longer"]
    for rank in state["aigc"]["ranks"]:
        del rank["task_if_longer"]


def test_without_the_state_before_the_last_values_the_rows_differ(whole, tmp_path):
    assert train("constant_rate", tmp_path, **steps("constant_rate", 10))
    assert train("constant_rate", tmp_path, change=forget_what_a_longer_run_needs)
    assert rows(tmp_path) != rows(whole["constant_rate"])
    weights = final_state(tmp_path)["state_dict"], final_state(whole["constant_rate"])["state_dict"]
    assert differences(*weights) == []

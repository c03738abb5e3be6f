"""A run on a stream that was stopped and gone on with is the run that was never stopped, to the last bit."""

from pathlib import Path
from typing import Any

import pytest
from pytorch_lightning import LightningDataModule

from aigc.errors import InputError
from aigc.launch.trainer import batches_per_epoch
from tests.drawing import drawn
from tests.training.resumable import (
    STEPS,
    STREAMS,
    VALIDATE_EVERY,
    differences,
    final_state,
    rows,
    streamed_model,
    train,
)

pytestmark = pytest.mark.slow

EPOCH = {"stream": 17, "stream_accumulating": 15}
"""Batches in an epoch."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    for name in STREAMS:
        folders[name] = tmp_path_factory.mktemp(name) / "whole"
        assert train(name, folders[name])
    return folders


def assert_equal(folder: Path, whole: Path) -> None:
    assert differences(final_state(folder), final_state(whole)) == []
    assert rows(folder) == rows(whole)


def position(folder: Path) -> dict[str, Any]:
    return final_state(folder)["aigc"]["position"]


@pytest.mark.parametrize("name", STREAMS)
def test_the_cases_are_what_they_are_said_to_be(name, whole):
    state, total = final_state(whole[name]), STEPS * STREAMS[name].accumulate
    assert state["aigc"]["order"]["batches"] is None
    assert state["aigc"]["position"]["total"] == total
    assert state["aigc"]["position"]["epoch"] == (total - 1) // EPOCH[name]
    assert state["aigc"]["position"]["batch"] == total - (total - 1) // EPOCH[name] * EPOCH[name]
    assert {row["step"] for row in rows(whole[name]) if "val/perplexity" in row} == {6, 12, 18, 24, 30}


PLACES = ["first", "mid", "window", "before_end", "end", "after_end", "validation"]


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name in STREAMS for place in drawn(f"places of {name}", PLACES, 7 if name == "stream" else 2)],
)
def test_resume_is_bit_exact(name, place, whole, tmp_path):
    end = EPOCH[name] - 1
    places = {"first": 0, "mid": 3, "window": 7, "before_end": end - 1, "end": end, "after_end": end + 1}
    batch = places.get(place, 3 * VALIDATE_EVERY * STREAMS[name].accumulate - 1)
    assert not train(name, tmp_path, signal_at_batch=batch)
    assert train(name, tmp_path)
    assert_equal(tmp_path, whole[name])


@pytest.mark.parametrize("name", STREAMS)
def test_a_run_stopped_again_and_again_is_the_same_run(name, whole, tmp_path):
    for step in drawn(f"steps of {name}", range(STEPS - 1), 6):
        assert not train(name, tmp_path, signal_at_batch=STREAMS[name].accumulate * step)
    assert train(name, tmp_path)
    assert_equal(tmp_path, whole[name])


@pytest.mark.parametrize(("before", "after"), [(1, 1), (0, 1), (1, 0)])
def test_a_process_that_reads_ahead_does_not_matter(before, after, whole, tmp_path):
    assert not train("stream", tmp_path, workers=before, signal_at_batch=7)
    assert train("stream", tmp_path, workers=after)
    assert_equal(tmp_path, whole["stream"])


def one_row_further(state: dict[str, Any]) -> None:
    state["aigc"]["ranks"][0]["place"]["row"] += 1


def another_window(state: dict[str, Any]) -> None:
    state["aigc"]["ranks"][0]["place"]["window"] += 1


def from_the_beginning(state: dict[str, Any]) -> None:
    state["aigc"]["ranks"][0]["place"]["source"] = None


def another_epoch(state: dict[str, Any]) -> None:
    state["aigc"]["position"]["epoch"] += 1


@pytest.mark.parametrize("change", [one_row_further, another_window, from_the_beginning, another_epoch])
def test_a_wrong_position_would_be_noticed(change, whole, tmp_path):
    assert not train("stream", tmp_path, signal_at_batch=7)
    assert train("stream", tmp_path, change=change)
    assert differences(final_state(tmp_path), final_state(whole["stream"]))


def test_other_files_are_other_data(tmp_path):
    assert not train("stream", tmp_path, signal_at_batch=4)

    def other(state: dict[str, Any]) -> None:
        state["aigc"]["order"]["fingerprint"] = "0" * 64

    with pytest.raises(InputError, match=r"data fingerprint was 0000000000000000 .*resume.allow=\[data\]"):
        train("stream", tmp_path, change=other)
    assert train("stream", tmp_path, allow=("data",))
    assert position(tmp_path)["total"] == STEPS
    last = STEPS - 5 - EPOCH["stream"]  # the rest of the first epoch was left out, and another is whole
    assert position(tmp_path) == {"total": STEPS, "epoch": 2, "batch": last, "sample": last * 50}


def test_another_number_of_ranks_begins_the_epoch_anew(tmp_path):
    assert not train("stream", tmp_path, signal_at_batch=EPOCH["stream"] + 3)
    assert position(tmp_path)["epoch"] == 1

    def of_two(state: dict[str, Any]) -> None:
        state["aigc"]["order"]["world_size"] = 2

    with pytest.raises(InputError, match=r"number of ranks was 2 and is 1.*resume.allow=\[world_size\]"):
        train("stream", tmp_path, change=of_two)
    assert train("stream", tmp_path, allow=("world_size",))
    last = STEPS - EPOCH["stream"] - 4
    assert position(tmp_path) == {"total": STEPS, "epoch": 1, "batch": last, "sample": last * 50}


def test_a_limited_epoch_is_resumed_exactly(tmp_path):
    settings = {"limit_train_batches": 6}
    assert train("stream", tmp_path / "whole", **settings)
    assert position(tmp_path / "whole")["epoch"] == 4
    for batch in drawn("limited epoch", [2, 5, 6], 1):
        folder = tmp_path / str(batch)
        assert not train("stream", folder, signal_at_batch=batch, **settings)
        assert train("stream", folder, **settings)
        assert_equal(folder, tmp_path / "whole")


class Endless(LightningDataModule):
    """A loader without a length that is no stream."""

    def train_dataloader(self) -> Any:
        return iter(int, 1)


def test_another_loader_without_a_length_is_still_refused(tmp_path):
    assert batches_per_epoch(streamed_model(tmp_path, 0)[0]) is None
    with pytest.raises(InputError, match="data: the training loader has no length"):
        batches_per_epoch(Endless())

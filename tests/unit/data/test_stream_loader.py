"""A loader without a length: whole optimiser steps, a place for each batch, one end for all ranks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.stream_loader import StreamLoader
from aigc.errors import InputError
from tests.launch.modules import run_ranks
from tests.unit.data.test_streams import shards


def numbers(length: int) -> Any:
    """Batches that are their own place."""

    def batches(epoch: int, place: int | None) -> Iterator[tuple[tuple[int, int], int]]:
        for number in range(place or 0, length):
            yield (epoch, number), number + 1

    return batches


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 40) | st.none(), st.data())
def test_an_epoch_has_whole_steps_and_resumes_after_any_batch(
    length: int, group: int, steps: int | None, data: st.DataObject
) -> None:
    limit = steps and steps * group
    whole = min(length - length % group, limit or length)

    def loader() -> StreamLoader:
        return StreamLoader(numbers(length), {"batch_size": 1}, group, limit)

    if not whole:
        with pytest.raises(InputError, match=r"fewer than \d+ batch(es)? of size 1 in an epoch"):
            list(loader())
        return
    first = loader()
    done = group * data.draw(st.integers(1, whole // group))  # a checkpoint stands between two steps
    iterator = iter(first)
    assert [next(iterator) for _ in range(done)] == [(0, number) for number in range(done)]
    passed = first.passed(done)
    assert (passed.epoch, passed.batch, passed.position) == (0, done, done)
    second = loader()
    second.load_state_dict({"epoch": 0, "batch": done, "place": passed.position})
    assert list(second) == [(0, number) for number in range(done, whole)]
    assert second.passed(whole - done).ended
    second.set_epoch(1)
    assert list(second) == [(1, number) for number in range(whole)]


def test_what_was_read_in_advance_does_not_count() -> None:
    loader = StreamLoader(numbers(30), {"batch_size": 1})
    iterator = iter(loader)
    for _ in range(10):
        next(iterator)
    assert loader.passed(0).batch == 0
    assert [loader.passed(done).position for done in (7, 8, 9, 10)] == [7, 8, 9, 10]
    with pytest.raises(RuntimeError, match="no longer known"):
        loader.passed(1)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", ["ahead", "here"])
def test_ranks_with_shards_of_unlike_sizes_end_an_epoch_together(ahead: str, tmp_path: Path) -> None:
    shards(tmp_path / "texts", 300, 60)
    said = run_ranks("tests.unit.data.stream_ranks", 2, tmp_path, 3, ahead)
    told = [json.loads((tmp_path / f"rank-{rank}.json").read_text("utf-8")) for rank in range(2)]
    for epoch in range(2):
        alone = sorted(one["alone"][epoch] for one in told)
        assert alone[0] * 2 < alone[1]
        assert [one["counts"][epoch] for one in told] == [alone[0] - alone[0] % 3] * 2
    assert "another rank has no more" in said

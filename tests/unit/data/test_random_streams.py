"""Streams of random numbers: named, apart from one another, and the same numbers as ever."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aigc
from aigc.data.random_streams import Stream, generator, stream_seed

LARGEST_EPOCH = 0xFFFFFF00
SHARED = {Stream.MEASURED, Stream.STEP, Stream.RANK}
"""Streams that share numbers with an epoch, as older results depend on them; no other may."""


@pytest.mark.parametrize(
    ("stream", "numbers", "expected"),
    [
        (Stream.MEASURED, (5,), 3400766268476087555),
        (Stream.STEP, (3, 2), 1094397277791575890),
        (Stream.GRID, (), 718390962608736976),
        (Stream.STRIP, (3,), 1830871884832157838),
        (Stream.NEIGHBOURS, (), 3940996392080598361),
    ],
)
def test_streams_give_what_they_gave_before_they_had_names(stream, numbers, expected):
    assert stream_seed(stream, 7, *numbers) == expected


def test_ranks_draw_what_they_drew_before():
    assert stream_seed(Stream.RANK, 7, 1, below=2**32) == 3180022227


def test_a_new_stream_lies_above_every_epoch():
    assert {stream for stream in Stream if stream <= LARGEST_EPOCH} == SHARED
    assert all(stream < 2**32 for stream in Stream)  # a larger number would be two, as those of another stream
    assert len({stream.value for stream in Stream}) == len(Stream.__members__)


@given(st.integers(0, 2**32 - 1), st.integers(0, LARGEST_EPOCH), st.lists(st.integers(0, 2**32 - 1), max_size=2))
def test_streams_are_apart_from_one_another_and_from_epochs(seed: int, epoch: int, numbers: list[int]) -> None:
    drawn = [stream_seed(stream, seed, *numbers) for stream in Stream]
    assert len(set(drawn)) == len(drawn)
    of_epoch = int(generator(seed, epoch, *numbers).integers(2**62))
    assert of_epoch not in [stream_seed(stream, seed, *numbers) for stream in set(Stream) - SHARED]
    assert generator(seed, 1).integers(2**62) == generator(seed, 1, 0, 0).integers(2**62)  # why they are above


def test_only_data_draw_from_streams_without_names():
    root = Path(aigc.__file__).parent
    users = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in ("aigc.data.random_streams", "aigc.data.sampler"):
                users |= {path.relative_to(root).parts[0] for name in node.names if name.name == "generator"}
    assert users == {"data"}

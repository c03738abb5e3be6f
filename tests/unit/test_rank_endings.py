"""How ranks ended is told by notes; those of an earlier launch tell nothing about this one."""

import time
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint import CheckpointException, load, save  # type: ignore[attr-defined]

from aigc.distributed.shard_files import cause_of
from aigc.launch.ranks.exits import LAUNCH, RankExit, RankExits

LOST = "RuntimeError: Connection closed by peer [127.0.0.1]"


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LAUNCH, raising=False)


def test_the_cause_is_the_earliest_end_that_is_more_than_a_lost_contact(tmp_path: Path) -> None:
    notes = RankExits(tmp_path)
    now = time.time()
    for rank, seconds, message in ((0, 1, LOST), (1, 3, "later"), (2, 2, "first"), (3, 0, LOST)):
        notes.note(RankExit(rank, now + seconds, 1, message))
    assert notes.cause() == RankExit(2, now + 2, 1, "first")
    assert notes.cause_of(RankExit(0, now, 1, LOST)) == notes.cause()
    assert notes.cause_of(RankExit(5, now, 1, "its own")).message == "its own"


def test_what_an_earlier_launch_by_hand_has_left_is_no_cause(tmp_path: Path) -> None:
    notes = RankExits(tmp_path)
    notes.note(RankExit(1, time.time() - 3600, 1, "an hour ago"))
    notes.note(RankExit(2, time.time(), 1, "just now"))
    RankExits(tmp_path, "another").note(RankExit(3, time.time(), 1, "of another launch"))
    notes.clear()
    assert [ending.message for ending in notes.noted()] == ["just now"]
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("disk", [True, False])
def test_what_torch_wraps_is_told(disk: bool, tmp_path: Path) -> None:
    save({"a": torch.ones(3)}, checkpoint_id=tmp_path, no_dist=True)
    if disk:
        next(tmp_path.glob("*.distcp")).unlink()
    with pytest.raises(CheckpointException) as raised:
        load({"a" if disk else "b": torch.ones(3)}, checkpoint_id=tmp_path, no_dist=True)
    cause = cause_of(raised.value)
    assert isinstance(cause, FileNotFoundError) is disk
    assert disk or "b" in str(cause)

"""A full disk costs ranks that save together time, never a checkpoint."""

from pathlib import Path

import pytest

from aigc.runs.checkpoints import damage
from aigc.runs.status import Status
from tests.launch.forking import Child
from tests.launch.test_disk_full import ROOM, fill, mounted
from tests.launch.test_ranks import RANKS, SHARDED, SLOW, STEPS, stepped, values
from tests.launch.tiny_runs import place_at, saved, start, the_run
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

SAVING = [*RANKS, *SHARDED, "callbacks.checkpoints.every_n_steps=2"]


def test_ranks_continue_if_space_is_freed_in_time_and_otherwise_lose_nothing(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    with mounted(place / "outputs", "-t", "tmpfs", "-o", "size=4m", "none"):
        child = start(place, ["train", *SAVING, *SLOW, "run.patience=5"])
        filler = filled_at(place, child, step=3)
        wait_until(lambda: "retrying for" in child.output or child.ended)
        filler.unlink()
        filler = filled_at(place, child, step=7)
        assert child.wait() == 1, child.output
        run = the_run(place)
        assert (run.status, saved(run), damage(run.checkpoints / "last.ckpt")) == (Status.FAILED, 6, None)
        assert "No space left on device. Tried for 5 s" in child.output.splitlines()[-1]
        assert "Traceback" not in child.output
        assert not list(run.checkpoints.glob(".*"))
        filler.unlink()
        again = start(place, ["resume", "latest", "~callbacks.slow", "--trust=tests"])
        assert again.wait() == 0, again.output
        assert len(values(run, "train/loss")) == STEPS


def filled_at(place: Path, child: Child, step: int) -> Path:
    """Fill the disk after a step, leaving space for everything but a checkpoint."""
    wait_until(lambda: child.ended or stepped(place) >= step)
    return fill(place, ROOM)

"""A full or unwritable disk costs time, never a checkpoint, and is reported as such."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aigc.runs import Run
from aigc.runs.checkpoints import damage
from aigc.runs.status import read_status
from tests.launch.forking import Child
from tests.launch.tiny_runs import assert_same, command, finish, go, place_at, saved, start, the_run, wait_in
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

STEPS, VALIDATE = 12, 4
TRAINING = "aigc.tasks.language.causal_lm:CausalLM.training_step"
ROOM = 64 << 10
"""Enough for everything but a checkpoint."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disk")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Run:
    """The run whose disk was never full."""
    place = place_at(folder / "whole")
    finish(place, command("language_model", STEPS, VALIDATE))
    return the_run(place)


@contextmanager
def mounted(path: Path, *arguments: str) -> Iterator[None]:
    """Mount a file system for a block; skip where that is not allowed."""
    path.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *arguments, str(path)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def place(folder: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A working directory with its outputs on a disk of 2 MB."""
    made = place_at(folder / request.node.name)
    with mounted(made / "outputs", "-t", "tmpfs", "-o", "size=2m", "none"):
        yield made


def fill(place: Path, room: int = 0) -> Path:
    """Fill the disk except for some bytes; return the file to remove."""
    filler = place / "outputs/filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - room)
    return filler


def starting(place: Path, where: str, count: int, *more: str) -> Child:
    return wait_in(place, command("language_model", STEPS, VALIDATE, *more), where, count)


def patience(seconds: int) -> str:
    return f"run.patience={seconds}"


def assert_told_and_intact(place: Path, child: Child, reason: str, step: int = 4) -> None:
    """Check that the run failed as it should, and that its checkpoints are intact."""
    assert child.wait() == 1
    run = the_run(place)
    assert f"cannot save {run.checkpoints.relative_to(place)}/step-" in child.output
    assert reason in child.output
    assert "`aigc resume`" in child.output
    assert "retrying for 2 s" in child.output
    assert "Traceback" not in child.output
    assert (run.status, run.manifest["attempts"][-1]["exit_code"]) == ("failed", 1)
    assert "cannot save" in read_status(run.path).message
    assert saved(run) == step
    assert [reason for path in run.checkpoints.glob("*.ckpt") if (reason := damage(path))] == []
    assert not list(run.checkpoints.glob(".*"))


def assert_goes_on(place: Path, whole: Run) -> None:
    finish(place, ["resume", "latest"])
    assert_same(the_run(place), whole)


@pytest.mark.parametrize("asynchronous", ["false", "true"])
def test_a_save_on_a_full_disk_fails_after_retries(asynchronous, place, whole):
    how = f"callbacks.checkpoints.asynchronous={asynchronous}"
    child = starting(place, TRAINING, 6, patience(2), how)
    filler = fill(place, ROOM)
    go(place)
    assert_told_and_intact(place, child, "No space left on device")
    filler.unlink()
    assert_goes_on(place, whole)


def test_a_run_continues_if_space_is_freed_in_time(place, whole):
    child = starting(place, TRAINING, 6, patience(60))
    filler = fill(place, ROOM)
    go(place)
    wait_until(lambda: "retrying for" in child.output)
    filler.unlink()
    assert child.wait() == 0, child.output
    assert_same(the_run(place), whole)


def test_a_signal_ends_the_retries_on_a_full_disk(place, whole):
    child = starting(place, TRAINING, 6, patience(300))
    filler = fill(place, ROOM)
    go(place)
    wait_until(lambda: "retrying for" in child.output)
    child.send(signal.SIGTERM)
    assert child.wait() == 75
    filler.unlink()
    assert saved(the_run(place)) == 4
    assert_goes_on(place, whole)


def test_an_unwritable_folder_is_reported(place, whole):
    child = starting(place, TRAINING, 6, patience(2))
    checkpoints = the_run(place).checkpoints
    with mounted(checkpoints, "--bind", str(checkpoints)):  # root may write in any mode
        subprocess.run(["mount", "-o", "remount,ro,bind", str(checkpoints)], check=True)
        go(place)
        assert_told_and_intact(place, child, "Read-only file system")
    assert_goes_on(place, whole)


def test_a_file_size_limit_is_reported(folder, whole):
    place = place_at(folder / "limit")
    limit = ["file_size_limit", 60_000, TRAINING, 6]
    child = start(place, command("language_model", STEPS, VALIDATE, patience(2)), limit)
    assert_told_and_intact(place, child, "File too large")
    assert_goes_on(place, whole)


ELSEWHERE = {
    "metrics": (TRAINING, 6),
    "status_and_manifest": ("aigc.launch.worker:_note_exit", 1),
    "samples": ("aigc.evaluation.text_generation:write_atomic", 2),
    "model": ("aigc.launch.train:save_model_folder", 1),
    "result": ("aigc.launch.train:save_result", 1),
}


@pytest.mark.parametrize("what", ELSEWHERE)
def test_a_disk_without_a_free_byte_is_reported_and_nothing_is_lost(what, place, whole):
    child = starting(place, *ELSEWHERE[what], patience(2))
    filler = fill(place)
    go(place)
    code = child.wait()
    assert "No space left on device" in child.output, child.output
    if what != "status_and_manifest":  # all had been done
        assert code == 1
    status = the_run(place).status
    filler.unlink()
    assert status not in ("running", "pending")
    finish(place, ["resume", "latest"])
    assert_same(the_run(place), whole)
    assert the_run(place).status == "finished"
    assert the_run(place).manifest["attempts"][-1]["end"]


@pytest.mark.parametrize("what", ["metrics", "samples", "model"])
def test_the_message_names_the_file_and_what_to_do(what, place):
    child = starting(place, *ELSEWHERE[what], patience(2))
    fill(place)
    go(place)
    child.wait()
    last = child.output.strip().splitlines()[-1]
    names = {"metrics": "metrics.jsonl|checkpoints/step-", "samples": "samples/step-", "model": "model"}
    assert re.search(names[what], last), last  # the last page may have room for the rows before the next checkpoint
    assert "aigc resume" in last, last


def test_a_row_that_a_quota_cuts_in_two_is_not_lost(folder, whole):
    """A write may be partial, and report it only by its return value."""
    place = place_at(folder / "row")
    rows = (whole.path / "metrics.jsonl").read_bytes().split(b"\n")
    limit = sum(len(row) + 1 for row in rows[:11]) + len(rows[11]) // 2
    child = start(
        place, command("language_model", STEPS, VALIDATE, patience(0)), ["file_size_limit", limit, TRAINING, 5]
    )
    assert child.wait() == 1, child.output
    assert_goes_on(place, whole)


def test_a_row_cut_in_two_does_not_swallow_the_next_one(folder, whole):
    place = place_at(folder / "cut_row")
    child = start(place, command("language_model", STEPS, VALIDATE), ["cut_row", 9])
    if child.wait() != 0:  # both are allowed, as long as an error is reported
        assert "metrics.jsonl" in child.output
        finish(place, ["resume", "latest"])
    assert_same(the_run(place), whole)


def test_a_run_that_cannot_start_leaves_nothing(place):
    filler = fill(place)
    child = start(place, command("language_model", STEPS, VALIDATE))
    assert child.wait() == 2
    assert "No space left on device" in child.output
    filler.unlink()
    assert [path for path in (place / "outputs").rglob("*") if path.is_file()] == []


def test_the_machine_is_left_as_it_was(folder):
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert os.statvfs("/").f_bavail > 0

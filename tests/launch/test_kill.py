"""A run that is killed again and again, at any moment, is the run that was never killed, to the last bit."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, damage
from tests.launch.forking import Child, wait_until
from tests.launch.tiny_runs import (
    EVERY,
    EXPERIMENTS,
    assert_same,
    command,
    files,
    finish,
    numbers,
    place_at,
    reached,
    run_in,
    saved,
    start,
    the_run,
)
from tests.training.resumable import differences

pytestmark = pytest.mark.slow

KILLS = 56
KILLS_IN_WRITES = 15
STEPS, VALIDATE = 44, 11


@dataclass
class Murdered:
    """What was seen of runs that were killed until they came through."""

    runs: list[Run] = field(default_factory=list)
    facts: list[dict[str, object]] = field(default_factory=list)
    """For each kill: status, step reached, step saved, and whether a checkpoint was half-written."""


@pytest.fixture(scope="module")
def other_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder on another file system than the runs: a rename from there is a copy, which a kill tears."""
    here = tmp_path_factory.getbasetemp().stat().st_dev
    for root in map(Path, ("/dev/shm", "/run", "/var/tmp", "/tmp", str(Path.home()))):
        if root.is_dir() and root.stat().st_dev != here and os.access(root, os.W_OK):
            made = root / f"aigc-kill-{os.getpid()}"
            made.mkdir()
            yield made
            shutil.rmtree(made)
            return
    yield tmp_path_factory.mktemp("same_disk")


@pytest.fixture(scope="module", params=EXPERIMENTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(name)


@pytest.fixture(scope="module")
def whole(name: str, folder: Path) -> Run:
    """The run that was never killed."""
    place = place_at(folder / "whole")
    finish(place, command(name, STEPS, VALIDATE))
    return the_run(place)


@pytest.fixture(scope="module")
def murdered(name: str, folder: Path, other_disk: Path) -> Murdered:
    """Runs killed at random moments, KILLS times in all."""
    chance, seen = random.Random(20240229), Murdered()
    while len(seen.facts) < KILLS:
        place = place_at(folder / f"killed-{len(seen.runs)}")
        come_through(place, command(name, STEPS, VALIDATE), chance, seen, TMPDIR=str(other_disk))
        seen.runs.append(the_run(place))
    return seen


def come_through(
    place: Path, arguments: list[str], chance: random.Random, seen: Murdered, most: int = 16, **env: str
) -> None:
    """Kill the same command until it ends by itself, which it may after some kills."""
    for _ in range(most):
        child = kill_somewhere(place, arguments, chance, env)
        if child.wait() == 0:
            break
        assert child.wait() == -signal.SIGKILL, child.said
        note(place, seen)
    finish(place, arguments, **env)


def kill_somewhere(place: Path, arguments: list[str], chance: random.Random, env: dict[str, str]) -> Child:
    """One attempt, killed anywhere, while it trains, or while it writes a checkpoint slowly."""
    how = chance.choice(["anywhere", "training", "writing", "writing"])
    faults = [["slow_writes", 0.0008], ["slow_disk", 0.002]] if how == "writing" else [["slow_disk", 0.01]]
    child = start(place, arguments, *faults, **env)
    writes, wait = chance.randint(1, 3), chance.random()
    if how == "anywhere":
        wait *= 1.5
    elif how == "training":
        before = logged(place)
        wait_until(lambda: child.ended or logged(place) != before, 30)
    else:
        wait *= 0.35
        written: set[str] = set()
        while len(written) < writes and not child.ended:
            written |= half_written(place)
            time.sleep(0.002)
    wait_until(lambda end=time.monotonic() + wait: child.ended or time.monotonic() > end, 30)
    child.kill()
    return child


def logged(place: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError, AttributeError):
        info = (run_in(place).path / "metrics.jsonl").stat()
        return info.st_mtime_ns, info.st_size
    return None


def half_written(place: Path) -> set[str]:
    """Names of checkpoints that are being written, or were when the process died."""
    return {path.name for path in place.glob("outputs/runs/*/checkpoints/.step-*.ckpt.*.tmp")}


def note(place: Path, seen: Murdered) -> None:
    run = run_in(place)
    facts = {"place": place.name, "half_written": bool(half_written(place))}
    if run is not None:
        pending = not run.manifest["attempts"]  # it was made, and nobody has worked on it
        facts |= {"status": str(run.status), "pending": pending, "reached": reached(run), "saved": saved(run)}
    seen.facts.append(facts)


def test_kills_are_many_and_many_are_inside_a_write(murdered, capsys):
    inside = sum(bool(fact["half_written"]) for fact in murdered.facts)
    with capsys.disabled():
        print(f"\n{len(murdered.facts)} kills of {len(murdered.runs)} runs, {inside} of them inside a checkpoint write")
    assert len(murdered.facts) >= KILLS
    assert inside >= KILLS_IN_WRITES


def test_the_temporary_folder_was_on_another_file_system(murdered, other_disk):
    if other_disk.stat().st_dev == murdered.runs[0].path.stat().st_dev:
        pytest.skip("this machine has no second file system to write to (/dev/shm, /run, /var/tmp, /tmp, home)")


def test_the_end_is_that_of_a_run_never_killed(murdered, whole):
    for run in murdered.runs:
        assert_same(run, whole)


def test_a_kill_costs_one_save_interval_at_most(murdered):
    for fact in murdered.facts:
        assert 0 <= fact.get("reached", 0) - fact.get("saved", 0) <= EVERY, fact


def test_a_killed_run_reads_as_killed(murdered):
    for fact in murdered.facts:
        if "status" in fact:
            assert fact["status"] == ("pending" if fact["pending"] else "killed"), fact


def test_every_checkpoint_is_whole_in_the_end(murdered):
    for run in murdered.runs:
        found = list(run.checkpoints.glob("*.ckpt"))
        assert len(found) >= 3
        assert [reason for path in found if (reason := damage(path))] == []


def test_the_files_are_those_of_a_run_never_killed(murdered, whole):
    for run in murdered.runs:
        assert files(run) == files(whole)


def test_no_half_made_folder_stays_beside_the_run(murdered):
    for run in murdered.runs:
        assert [path.name for path in run.path.parent.iterdir()] == [run.id]


def test_the_comparison_would_notice_a_lost_random_state(name, folder, whole):
    place = place_at(folder / "forgetful")
    child = start(place, command(name, STEPS, VALIDATE))
    wait_until(lambda: (run := run_in(place)) and reached(run) > 20, 30)
    assert child.kill() == -signal.SIGKILL
    newest = CheckpointFolder(the_run(place).checkpoints).newest_whole()
    state = torch.load(newest, weights_only=True)
    for rank in state["aigc"]["ranks"]:
        rank["random"]["torch"] = torch.Generator().manual_seed(12345).get_state()
    AtomicCheckpointIO().save_checkpoint(state, newest)
    finish(place, command(name, STEPS, VALIDATE))
    told, expected = numbers(the_run(place)), numbers(whole)
    assert told["weights"] != expected["weights"]
    assert differences(told["rows"], expected["rows"])


def test_a_run_that_saves_in_a_thread_is_the_same_run(name, folder, whole, other_disk):
    arguments = command(name, STEPS, VALIDATE, "callbacks.checkpoints.asynchronous=true")
    place, seen = place_at(folder / "asynchronous"), Murdered()
    come_through(place, arguments, random.Random(7), seen, most=10, TMPDIR=str(other_disk))
    assert len(seen.facts) >= 4
    for fact in seen.facts:  # while one checkpoint is written, training goes on to the next
        assert 0 <= fact.get("reached", 0) - fact.get("saved", 0) <= 2 * EVERY, fact
    assert_same(the_run(place), whole)


def test_whole_processes_survive_kills(name, folder, whole, other_disk):
    place, chance = place_at(folder / "processes"), random.Random(3)
    env = os.environ | {"AIGC_OUTPUTS": "outputs", "AIGC_CACHE": "../cache", "TMPDIR": str(other_disk)}
    whole_command = [sys.executable, "-m", "aigc", *command(name, STEPS, VALIDATE)]
    output = (place / "said").open("ab")
    for _ in range(3):
        before = logged(place)
        process = subprocess.Popen(whole_command, cwd=place, env=env, stdout=output, stderr=output)
        wait_until(lambda before=before: logged(place) != before, 60)
        time.sleep(0.3 * chance.random())
        process.kill()
        assert process.wait(timeout=30) == -signal.SIGKILL
        assert the_run(place).status == "killed"
        assert reached(the_run(place)) - saved(the_run(place)) <= EVERY
    assert subprocess.run(whole_command, cwd=place, env=env, stdout=output, stderr=output, timeout=120).returncode == 0
    output.close()
    assert_same(the_run(place), whole)

"""A run that is killed again and again, at any moment, equals one that was never killed, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, damage
from tests.drawing import EXHAUSTIVE, chance, drawn
from tests.launch.killing import Murdered, come_through, kill_at, logged
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
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

KILLS, KILLS_IN_WRITES = (56, 15) if EXHAUSTIVE else (14, 4)
STEPS, VALIDATE = 44, 11


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
    """Runs killed at random moments, KILLS times in total."""
    dice, seen = chance("kills"), Murdered()
    while len(seen.facts) < KILLS or sum(bool(fact["half_written"]) for fact in seen.facts) < KILLS_IN_WRITES:
        place = place_at(folder / f"killed-{len(seen.runs)}")
        come_through(place, command(name, STEPS, VALIDATE), dice, seen, TMPDIR=str(other_disk))
        seen.runs.append(the_run(place))
    return seen


def test_kills_are_many_and_many_are_inside_a_write(murdered, capsys):
    inside = sum(bool(fact["half_written"]) for fact in murdered.facts)
    with capsys.disabled():
        print(f"\n{len(murdered.facts)} kills of {len(murdered.runs)} runs, {inside} of them inside a checkpoint write")
    assert len(murdered.facts) >= KILLS
    assert inside >= KILLS_IN_WRITES


def test_the_temporary_folder_was_on_another_file_system(murdered, other_disk):
    if other_disk.stat().st_dev == murdered.runs[0].path.stat().st_dev:
        pytest.skip("this machine has no second file system to write to (/dev/shm, /run, /var/tmp, /tmp, home)")


def test_the_end_equals_that_of_a_run_never_killed(murdered, whole):
    for run in murdered.runs:
        assert_same(run, whole)


def test_a_kill_costs_one_save_interval_at_most(murdered):
    for fact in murdered.facts:
        assert -1 <= fact.get("reached", 0) - fact.get("saved", 0) <= EVERY, fact


def test_a_killed_run_reads_as_killed(murdered):
    for fact in murdered.facts:
        if "status" in fact:
            assert fact["status"] == ("pending" if fact["pending"] else "killed"), fact


def test_every_checkpoint_is_intact_in_the_end(murdered):
    for run in murdered.runs:
        found = list(run.checkpoints.glob("*.ckpt"))
        assert len(found) >= 3
        assert [reason for path in found if (reason := damage(path))] == []


def test_the_files_equal_those_of_a_run_never_killed(murdered, whole):
    for run in murdered.runs:
        assert files(run) == files(whole)


def test_lightnings_counters_equal_those_of_a_run_never_killed(name, folder, whole):
    place = place_at(folder / "epoch_end")
    kill_at(place, command(name, STEPS, VALIDATE), "aigc.tasks.base:Task.on_train_batch_start", STEPS - VALIDATE + 1)
    finish(place, command(name, STEPS, VALIDATE))
    assert_same(the_run(place), whole, counters=True)


def test_the_comparison_would_notice_a_lost_random_state(name, folder, whole):
    place = place_at(folder / "forgetful")
    child = start(place, command(name, STEPS, VALIDATE))
    wait_until(lambda: (run := run_in(place)) and reached(run) > 20)
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
    seen, dice = Murdered(), chance("kills of threads")
    while len(seen.facts) < (6 if EXHAUSTIVE else 2):
        place = place_at(folder / f"asynchronous-{len(seen.runs)}")
        come_through(place, arguments, dice, seen, most=10 if EXHAUSTIVE else 4, TMPDIR=str(other_disk))
        seen.runs.append(the_run(place))
    for fact in seen.facts:  # while one checkpoint is written, training goes on to the next
        assert -1 <= fact.get("reached", 0) - fact.get("saved", 0) <= 2 * EVERY, fact
    for run in seen.runs:
        assert_same(run, whole)


def test_a_killed_gan_equals_one_never_killed(tmp_path, other_disk):
    whole, seen, dice = place_at(tmp_path / "whole"), Murdered(), chance("kills of a GAN")
    finish(whole, command("gan", 40, 40))
    while len(seen.facts) < 2:
        place = place_at(tmp_path / f"killed-{len(seen.runs)}")
        come_through(place, command("gan", 40, 40), dice, seen, most=4, TMPDIR=str(other_disk))
        seen.runs.append(the_run(place))
    for fact in seen.facts:
        assert -1 <= fact.get("reached", 0) - fact.get("saved", 0) <= EVERY, fact
    for run in seen.runs:
        assert_same(run, the_run(whole))
        assert files(run) == files(the_run(whole))


def test_processes_started_by_python_survive_kills(name, folder, whole, other_disk):
    place, dice = place_at(folder / "processes"), chance("kills of processes")
    env = os.environ | {"AIGC_OUTPUTS": "outputs", "AIGC_CACHE": "../cache", "TMPDIR": str(other_disk)}
    whole_command = [sys.executable, "-m", "aigc", *command(name, STEPS, VALIDATE)]
    output = (place / "message").open("ab")
    for _ in range(3 if EXHAUSTIVE else 1):
        before = logged(place)
        process = subprocess.Popen(whole_command, cwd=place, env=env, stdout=output, stderr=output)
        wait_until(lambda before=before: logged(place) != before)
        time.sleep(0.3 * dice.random())
        process.kill()
        assert process.wait(timeout=PATIENCE) == -signal.SIGKILL
        assert the_run(place).status == "killed"
        assert reached(the_run(place)) - saved(the_run(place)) <= EVERY
    done = subprocess.run(whole_command, cwd=place, env=env, stdout=output, stderr=output, timeout=PATIENCE)
    assert done.returncode == 0
    output.close()
    assert_same(the_run(place), whole)


RENAMES = {
    3: "manifest_of_a_new_run",
    4: "status_of_a_new_run",
    5: "first_attempt",
    6: "heartbeat",
    13: "checkpoint",
    14: "last",
    15: "list",
    16: "samples",
    17: "last_after_validation",
    18: "best",
    19: "list_after_validation",
    26: "last_step",
    27: "last_of_last_step",
    30: "samples_of_last_step",
    33: "list_of_last_step",
    34: "result",
    35: "status_at_the_end",
    36: "attempt_at_the_end",
}
"""The file of the n-th rename in six steps with two validations."""
AT_THE_END = [one for one, file in RENAMES.items() if file.endswith("_at_the_end")]
DRAWN = [*drawn("renames", [one for one in RENAMES if one not in AT_THE_END], 4), *AT_THE_END]
"""Always with those after which the run has its result, and is not yet known to be finished."""


@pytest.fixture(scope="module")
def short(folder: Path) -> Run:
    """Six steps, never killed."""
    place = place_at(folder / "short")
    finish(place, command("language_model", 6, 3))
    return the_run(place)


@pytest.mark.parametrize("rename", DRAWN, ids=RENAMES.get)
def test_a_kill_between_writing_a_file_and_naming_it_leaves_nothing(rename, folder, short):
    place = place_at(folder / f"rename-{rename}")
    kill_at(place, command("language_model", 6, 3), "pathlib:Path.replace", rename)
    finish(place, command("language_model", 6, 3))
    assert_same(the_run(place), short)
    assert files(the_run(place)) == files(short)


def test_an_incomplete_run_folder_is_removed(folder):
    place = place_at(folder / "partial")
    kill_at(place, command("language_model", 6, 3), "aigc.runs.folder:write_status", 1)
    finish(place, command("language_model", 6, 3))
    assert [path.name for path in the_run(place).path.parent.iterdir()] == [the_run(place).id]

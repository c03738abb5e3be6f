"""Several ranks on one machine: equal numbers, a common end, and the first cause reported."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from aigc.distributed.shard_files import read_shards
from aigc.errors import PreemptedRun, RunInUse
from aigc.launch.ranks.lifeline import LIFELINE
from aigc.runs import Run
from aigc.runs.checkpoints import damage
from aigc.runs.status import Status, read_status
from tests.launch.forking import Child
from tests.launch.tiny_runs import GAN, LANGUAGE_MODEL, assert_same, place_at, reached, run_in, start, the_run
from tests.training.in_process import begin as begin_run
from tests.training.in_process import tiny_config
from tests.training.resumable import final_state
from tests.waiting import PATIENCE, takes_at_most, wait_until

pytestmark = pytest.mark.slow

STEPS = 12
RANKS = [
    *LANGUAGE_MODEL,
    "evaluation=null",
    "model.settings.resid_pdrop=0",
    "model.settings.attn_pdrop=0",
    "model.settings.embd_pdrop=0",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "trainer.num_threads=1",
    "trainer.log_every_n_steps=1",
    f"trainer.max_steps={STEPS}",
    "trainer.validate_every_n_steps=6",
    "logger=none",
]
TWO = ["trainer.devices=2", "data.batch_size=2"]
SLOW = ["+callbacks.slow._target_=tests.launch.rank_faults.Slow", "--trust=tests"]
ONE = ["trainer.devices=1", "data.batch_size=4"]


def begin(place: Path, *more: str) -> Child:
    return start(place, ["train", *RANKS, *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Run:
    """Two ranks that were never stopped, as new Python processes; those of the other runs are forked."""
    place = place_at(folder / "whole")
    child = start(place, ["train", *RANKS, *TWO], real=True)
    assert child.wait() == 0, child.output
    return the_run(place)


def values(run: Run, name: str) -> list[float]:
    return run.metrics()[name].dropna().tolist()


def test_two_ranks_learn_what_one_with_the_whole_batch_learns(whole: Run, folder: Path) -> None:
    from safetensors.torch import load_file

    place = place_at(folder / "alone")
    child = begin(place, *ONE)
    assert child.wait() == 0, child.output
    alone = the_run(place)
    for name in ("train/loss", "train/gradient_norm", "val/perplexity"):
        assert values(whole, name) == pytest.approx(values(alone, name), rel=2e-5), name
    assert len(values(whole, "train/loss")) == STEPS
    two, one = (load_file(run.model / "model.safetensors") for run in (whole, alone))
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=1e-5)


def test_the_second_rank_has_a_log_of_its_own_and_nothing_else_is_left(whole: Run) -> None:
    names = {path.name for path in whole.path.iterdir()}
    assert "log.rank1.txt" in names
    assert not [name for name in names if name.startswith(".rank")]
    assert whole.manifest["attempts"][-1]["exit_code"] == 0


def test_each_rank_draws_different_dropout(whole: Run) -> None:
    first, second = (rank["random"]["torch"] for rank in final_state(whole.path)["aigc"]["ranks"])
    assert not torch.equal(first, second)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_launcher_saves_once_and_the_resumed_run_is_the_same_to_the_bit(
    number: signal.Signals, whole: Run, folder: Path
) -> None:
    place = place_at(folder / number.name)
    child = begin(place, *TWO, "run.resume=auto", *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 3)
    child.send(number)
    assert child.wait() == (75 if number == signal.SIGTERM else 130), child.output
    run = the_run(place)
    assert run.status is (Status.PREEMPTED if number == signal.SIGTERM else Status.INTERRUPTED)
    assert 3 <= reached(run) < STEPS
    again = start(place, ["resume", "latest", "~callbacks.slow", "--trust=tests"])
    assert again.wait() == 0, again.output
    assert len(run.manifest["attempts"]) == 2
    assert_same(run, whole)


def stepped(place: Path) -> int:
    run = run_in(place)
    return reached(run) if run else 0


@pytest.mark.parametrize(
    ("how", "code", "status", "message"),
    [
        ("raise", 1, Status.FAILED, "ValueError: this rank is broken"),
        ("out_of_memory", 4, Status.OUT_OF_MEMORY, "no more of it"),
        ("diverge", 3, Status.DIVERGED, "the training loss or its gradient is not finite at step 3"),
        ("kill", 1, Status.KILLED, "rank 1 was killed by SIGKILL"),
        ("leave", 1, Status.FAILED, "rank 1 ended with exit code 7"),
    ],
)
def test_a_failed_rank_ends_the_run_and_is_reported_first(
    how: str, code: int, status: Status, message: str, tmp_path: Path
) -> None:
    child = fail(tmp_path, how=how)
    assert child.wait() == code, child.output
    run = the_run(tmp_path)
    assert child.output.splitlines()[-1].startswith("aigc train: ")
    assert message in child.output
    assert run.status is status
    log = run.log.read_text("utf-8")
    assert message in log
    if how == "raise":
        assert log.startswith("rank 1 ended first: Traceback") or "\nrank 1 ended first: Traceback" in log
        assert log.index("rank 1 ended first") < log.index("the run ended with an error")
        assert f"the traceback is in outputs/runs/{run.id}/log.rank1.txt" in child.output
        assert 'raise ValueError("this rank is broken")' in (run.path / "log.rank1.txt").read_text("utf-8")


def test_a_killed_first_rank_is_a_failure(tmp_path: Path) -> None:
    child = fail(tmp_path, how="kill", rank=0, step=STEPS - 1)
    assert child.wait() == 1, child.output
    assert "was killed by SIGKILL" in child.output
    assert the_run(tmp_path).status is Status.KILLED


def test_ranks_that_hang_when_another_dies_are_killed_within_half_a_minute(tmp_path: Path) -> None:
    child = fail(tmp_path, how="kill", others_hang="true")
    wait_until(lambda: child.ended or stepped(tmp_path) >= 2)
    with takes_at_most(30):
        assert child.wait() == 1
    assert "rank 1 was killed by SIGKILL" in child.output
    assert the_run(tmp_path).status is Status.KILLED


def fail(place: Path, **how: Any) -> Child:
    keys = {"_target_": "tests.launch.rank_faults.FailAt", "step": 2} | how
    fault = [f"+callbacks.fault.{key}={value}" for key, value in keys.items()]
    return begin(place_at(place), *TWO, *fault, "--trust=tests")


def test_ranks_do_not_outlive_a_launcher_that_is_killed(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = begin(place, *TWO, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 2)
    child.kill()
    run = the_run(place)
    wait_until(lambda: run.status is not Status.RUNNING)
    assert run.status is Status.PREEMPTED
    assert "asked to stop (the launching process is gone)" in str(read_status(run.path).message)
    wait_until(lambda: free(run))


def test_a_rank_that_waits_for_others_does_not_outlive_its_launcher(own_place: Path) -> None:
    """The first rank waits for a second one, which a launcher that was killed has never started."""
    cfg = tiny_config(own_place, "trainer.devices=2")
    run = begin_run(cfg, own_place)
    reader, writer = os.pipe()
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        port = free_port.getsockname()[1]
    ranks = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), LIFELINE: str(reader)}
    command = [sys.executable, "-m", "aigc.launch.worker", str(run.path)]
    rank = subprocess.Popen(command, env=os.environ | ranks | address, pass_fds=[reader])
    os.close(reader)
    try:
        wait_until(lambda: rank.poll() is not None or listens(port))
        assert rank.poll() is None
        os.close(writer)
        assert rank.wait(PATIENCE / 3) == PreemptedRun.exit_code
    finally:
        rank.kill()


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def free(run: Run) -> bool:
    """Whether no process holds it any more."""
    try:
        with run.working():
            return True
    except RunInUse:
        return False


def test_another_number_of_ranks_resumes_only_if_allowed(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = begin(place, *TWO, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 2)
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    refused = start(place, ["resume", "latest", "trainer.devices=1", "--trust=tests"])
    assert refused.wait() == 2, refused.output
    assert "world_size" in refused.output
    allowed = ["~callbacks.slow", "trainer.devices=1", "data.batch_size=4", "resume.allow=[world_size,batch_size]"]
    done = start(place, ["resume", "latest", *allowed, "--trust=tests"])
    assert done.wait() == 0, done.output
    assert reached(the_run(place)) == STEPS


def test_the_number_of_processes_must_be_that_of_the_config(tmp_path: Path) -> None:
    child = begin(place_at(tmp_path), "trainer.nodes=2")
    assert child.wait() == 2
    assert "trainer.nodes" in child.output
    child = start(tmp_path, ["train", *RANKS, *TWO], WORLD_SIZE="2", RANK="0")
    assert child.wait() == 2
    assert "WORLD_SIZE" in child.output
    assert os.environ.get("WORLD_SIZE") is None


SHARDED = ["trainer.strategy=fsdp", *TWO]


@pytest.fixture(scope="module")
def sharded(folder: Path) -> Run:
    """Two ranks with sharded weights that were never stopped."""
    place = place_at(folder / "sharded")
    child = begin(place, *SHARDED)
    assert child.wait() == 0, child.output
    return the_run(place)


def test_sharded_training_equals_unsharded_training(sharded: Run, whole: Run) -> None:
    for name in ("train/loss", "train/gradient_norm", "val/perplexity"):
        assert values(sharded, name) == pytest.approx(values(whole, name), rel=2e-5), name
    weights = [sharded.load_model()[0].state_dict(), whole.load_model()[0].state_dict()]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)


def test_a_sharded_checkpoint_is_written_atomically(sharded: Run) -> None:
    checkpoint = (sharded.checkpoints / "last.ckpt").resolve()
    assert sorted(path.name for path in checkpoint.iterdir()) == [
        ".metadata",
        "__0_0.distcp",
        "__1_0.distcp",
        "meta.pt",
    ]
    assert damage(checkpoint) is None
    held = read_shards(checkpoint)
    model = sharded.load_model()[0].state_dict()
    for name, value in model.items():
        torch.testing.assert_close(held["state_dict"][f"model.{name}"], value, rtol=0, atol=0)
    size = sum(path.stat().st_size for path in checkpoint.glob("__0_*"))
    assert size < 0.7 * sum(path.stat().st_size for path in checkpoint.glob("__*"))
    part = checkpoint / "__1_0.distcp"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    kept = part.read_bytes()
    part.write_bytes(content)
    assert "checksum" in str(damage(checkpoint))
    part.write_bytes(kept)


def test_sharded_training_resumes_bit_for_bit_and_on_other_numbers_of_ranks(sharded: Run, folder: Path) -> None:
    place = place_at(folder / "sharded-stopped")
    child = begin(place, *SHARDED, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 3)
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    refused = start(place, ["resume", "latest", "~callbacks.slow", *ONE, "--trust=tests"])
    assert refused.wait() == 2
    assert "number of ranks was 2 and is 1" in refused.output
    assert len(refused.output.splitlines()) == 2, refused.output  # the first names the run
    copied = folder / "sharded-copied"
    shutil.copytree(place, copied, symlinks=True)
    again = start(place, ["resume", "latest", "~callbacks.slow", "--trust=tests"])
    assert again.wait() == 0, again.output
    run = the_run(place)
    assert values(run, "train/loss") == values(sharded, "train/loss")
    one, other = (run.load_model()[0].state_dict() for run in (run, sharded))
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    # The same on one device, with unsharded weights.
    allowed = ["trainer.devices=1", "data.batch_size=4", "resume.allow=[world_size,batch_size]"]
    alone = start(copied, ["resume", "latest", "~callbacks.slow", *allowed, "--trust=tests"])
    assert alone.wait() == 0, alone.output
    assert values(the_run(copied), "train/loss") == pytest.approx(values(sharded, "train/loss"), rel=1e-4)


def test_unsharded_weights_resume_in_any_number_of_shards(whole: Run, folder: Path) -> None:
    place = place_at(folder / "whole-stopped")
    child = begin(place, *TWO, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 3)
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    allowed = ["trainer.devices=4", "data.batch_size=1", "resume.allow=[world_size,batch_size]"]
    again = start(place, ["resume", "latest", "~callbacks.slow", "trainer.strategy=fsdp", *allowed, "--trust=tests"])
    assert again.wait() == 0, again.output
    assert values(the_run(place), "train/loss") == pytest.approx(values(whole, "train/loss"), rel=1e-4)
    assert (the_run(place).checkpoints / "last.ckpt" / "__3_0.distcp").is_file()


def test_a_task_with_several_optimisers_is_not_sharded(tmp_path: Path) -> None:
    child = start(
        place_at(tmp_path), ["train", *GAN, "trainer.strategy=fsdp", *TWO[:1], "trainer.num_threads=1", "logger=none"]
    )
    assert child.wait() == 2, child.output
    assert "trainer.strategy: fsdp " in child.output

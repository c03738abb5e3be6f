"""A damaged checkpoint is detected and the run resumes from the one before; nothing is restarted or deleted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aigc.runs import Run
from aigc.runs.checkpoints import damage, step_of
from aigc.runs.metrics_file import read
from tests.launch.killing import kill_at
from tests.launch.tiny_runs import assert_same, command, finish, place_at, start, the_run

pytestmark = pytest.mark.slow

STEPS, VALIDATE = 12, 4
STOPPED, BEFORE = 8, 6
"""Steps of the two checkpoints that the stopped run has."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corruption")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Run:
    """The run that was never stopped."""
    place = place_at(folder / "whole")
    finish(place, command("language_model", STEPS, VALIDATE))
    return the_run(place)


@pytest.fixture(scope="module")
def stopped(folder: Path) -> Path:
    """The folder of a run that was killed after its validation at step 8, when best.ckpt was that step."""
    place = place_at(folder / "stopped")
    kill_at(
        place, command("language_model", STEPS, VALIDATE), "aigc.tasks.language.causal_lm:CausalLM.training_step", 10
    )
    assert steps_in(the_run(place)) == [BEFORE, STOPPED]
    return place


@pytest.fixture
def place(stopped: Path, folder: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of it."""
    copy = folder / request.node.name.replace("/", "_")
    return Path(shutil.copytree(stopped, copy, symlinks=True))


def steps_in(run: Run) -> list[int]:
    return sorted(step_of(path) for path in run.checkpoints.glob("step-*.ckpt"))


def checkpoint(place: Path, step: int = STOPPED) -> Path:
    return the_run(place).checkpoints / f"step-{step:06d}.ckpt"


def checksum(place: Path, step: int = STOPPED) -> Path:
    return the_run(place).checkpoints / f"step-{step:06d}.ckpt.sha256"


def truncate(place: Path) -> None:
    content = checkpoint(place).read_bytes()
    checkpoint(place).write_bytes(content[: len(content) // 2])


def cut_one_byte(place: Path) -> None:
    checkpoint(place).write_bytes(checkpoint(place).read_bytes()[:-1])


def flip(share: float) -> Callable[[Path], None]:
    def flip_one_byte(place: Path) -> None:
        content = bytearray(checkpoint(place).read_bytes())
        content[int(share * (len(content) - 1))] ^= 1
        checkpoint(place).write_bytes(content)

    return flip_one_byte


def say_another_checksum(place: Path) -> None:
    checksum(place).write_text(checksum(place, BEFORE).read_text())


DAMAGES = {
    "truncated": truncate,
    "one_byte_short": cut_one_byte,
    "flipped_at_start": flip(0),
    "flipped_in_the_middle": flip(0.5),
    "flipped_at_the_end": flip(1),
    "empty": lambda place: checkpoint(place).write_bytes(b""),
    "checksum_missing": lambda place: checksum(place).unlink(),
    "checksum_empty": lambda place: checksum(place).write_bytes(b""),
    "checksum_garbage": lambda place: checksum(place).write_bytes(b"\xff\x00\xfe garbage"),
    "checksum_of_another": say_another_checksum,
    "only_the_checksum_is_left": lambda place: checkpoint(place).unlink(),
}


@pytest.mark.parametrize("hurt", [pytest.param(hurt, id=name) for name, hurt in DAMAGES.items()])
def test_the_checkpoint_before_is_resumed_with_a_warning_to_the_same_end(hurt, place, whole):
    hurt(place)
    message = finish(place, ["resume", "latest"])
    assert the_run(place).manifest["attempts"][-1]["from_step"] == BEFORE
    assert_same(the_run(place), whole)
    assert f"resuming from step {BEFORE}" in message
    assert f"step-{STOPPED:06d}.ckpt" in message
    assert "damaged" in message or "missing" in message


def cut_list(place: Path) -> None:
    path = the_run(place).checkpoints / "checkpoints.json"
    path.write_bytes(path.read_bytes()[:30])


def dangle(place: Path) -> None:
    last = the_run(place).checkpoints / "last.ckpt"
    last.unlink()
    last.symlink_to("step-000099.ckpt")


NAMES_LOST = {
    "list_damaged": cut_list,
    "list_missing": lambda place: (the_run(place).checkpoints / "checkpoints.json").unlink(),
    "list_of_another_shape": lambda place: (the_run(place).checkpoints / "checkpoints.json").write_text("[1, 2]"),
    "last_dangling": dangle,
    "last_missing": lambda place: (the_run(place).checkpoints / "last.ckpt").unlink(),
}


@pytest.mark.parametrize("hurt", [pytest.param(hurt, id=name) for name, hurt in NAMES_LOST.items()])
def test_lost_file_names_lose_no_step(hurt, place, whole):
    hurt(place)
    finish(place, ["resume", "latest"])
    run = the_run(place)
    assert run.manifest["attempts"][-1]["from_step"] == STOPPED
    assert_same(run, whole)
    assert [damage(run.checkpoints / name) for name in ("last.ckpt", "best.ckpt")] == [None, None]


def test_a_damaged_best_checkpoint_is_an_error_only_where_it_is_needed(place, whole):
    """Step 8 was the best; the run resumes from an earlier step, validates it again, and it is the best again."""
    flip(0.5)(place)
    finish(place, ["resume", "latest"])
    run = the_run(place)
    assert damage(run.checkpoints / "best.ckpt") is None
    assert run.manifest["result"]["best_step"] == whole.manifest["result"]["best_step"]


@pytest.mark.parametrize("verb", ["resume", "train"])
def test_when_all_are_damaged_nothing_is_restarted_or_deleted(verb, place):
    for step in (STOPPED, BEFORE):
        checkpoint(place, step).write_bytes(b"")
    before = contents(the_run(place))
    arguments = ["resume", "latest"] if verb == "resume" else command("language_model", STEPS, VALIDATE)
    child = start(place, arguments)
    assert child.wait() == 1
    assert "no usable checkpoint" in child.output
    assert checkpoint(place).name in child.output
    assert checkpoint(place, BEFORE).name in child.output
    assert contents(the_run(place)) == before
    assert the_run(place).status == "failed"


def test_when_all_are_gone_nothing_is_restarted(place):
    for path in the_run(place).checkpoints.glob("step-*"):
        path.unlink()
    before = contents(the_run(place))
    child = start(place, ["resume", "latest"])
    assert child.wait() == 1
    assert "no usable checkpoint" in child.output
    assert contents(the_run(place)) == before


def contents(run: Run) -> dict[str, bytes]:
    """Return the results of training."""
    paths = [run.path / "metrics.jsonl", *run.checkpoints.iterdir(), *run.samples.iterdir()]
    return {path.name: path.read_bytes() for path in paths if path.exists()}


def test_foreign_files_beside_the_checkpoints_are_kept(place, whole):
    mine = {
        "notes.txt": b"mine",
        "step-000001.ckpt.bak": b"mine",
        "step-000099.ckpt": b"not whole",
        "model.ckpt": b"mine",
        ".notes.tmp": b"mine",
        "old/step-000002.ckpt": b"mine",
    }
    for name, content in mine.items():
        path = the_run(place).checkpoints / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    finish(place, ["resume", "latest"])
    run = the_run(place)
    assert_same(run, whole)
    found = {name: (run.checkpoints / name).read_bytes() for name in mine if (run.checkpoints / name).exists()}
    assert found == mine


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_newest_and_the_best_are_kept(keep, folder):
    place = place_at(folder / f"keep-{keep}")
    worst = "callbacks.checkpoints.mode=max"  # so that the first one is the best
    finish(place, command("language_model", STEPS, VALIDATE, f"callbacks.checkpoints.keep={keep}", worst))
    run = the_run(place)
    measured = {
        row["step"]: row["val/perplexity"] for row in read(run.path / "metrics.jsonl") if "val/perplexity" in row
    }
    best = max(measured, key=measured.get)
    assert best == VALIDATE
    newest = list(range(STEPS, 0, -2))[:keep]
    assert steps_in(run) == sorted([best, *newest])
    assert sorted(path.name for path in run.checkpoints.glob("*.sha256")) == [
        f"step-{step:06d}.ckpt.sha256" for step in steps_in(run)
    ]
    assert (run.checkpoints / "last.ckpt").resolve().name == f"step-{STEPS:06d}.ckpt"
    assert (run.checkpoints / "best.ckpt").resolve().name == f"step-{best:06d}.ckpt"
    listed = json.loads((run.checkpoints / "checkpoints.json").read_text())
    assert sorted(map(int, listed["files"])) == steps_in(run)

"""Runs on a stream, by `aigc` itself: stopped, killed, resumed, and on another number of ranks."""

import json
import random
import signal
from pathlib import Path

import pytest

from aigc.runs import Run
from aigc.runs.status import Status
from tests.launch.forking import Child
from tests.launch.tiny_runs import EVERY, LANGUAGE_MODEL, assert_same, reached, run_in, saved, start, the_run
from tests.training.resumable import CHARACTERS, final_state
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

STEPS = 14
STREAM = [
    *[one for one in LANGUAGE_MODEL if not one.startswith(("data", "evaluation"))],
    "data=streamed",
    "data.path=texts/*.jsonl",
    "data.sequence_length=16",
    "data.validation_documents=20",
    "data.tokenizer.sample=50",
    "data.tokenizer.min_frequency=1",
    "data.shuffle_buffer=40",
    "evaluation=null",
    f"callbacks.checkpoints.every_n_steps={EVERY}",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "trainer.num_threads=1",
    "trainer.log_every_n_steps=1",
    f"trainer.max_steps={STEPS}",
    "trainer.validate_every_n_steps=6",
    "logger=none",
]
SLOW = ["+callbacks.slow._target_=tests.launch.rank_faults.Slow", "--trust=tests"]


def place_at(folder: Path) -> Path:
    """A working directory with two shards, whose epoch ends before the run does."""
    (folder / "texts").mkdir(parents=True)
    chance = random.Random(0)
    for shard in range(2):
        texts = ["".join(chance.choices(CHARACTERS, k=chance.randint(5, 9))) for _ in range(100)]
        rows = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"texts/{shard}.jsonl").write_text(rows, encoding="utf-8")
    return folder


def begin(place: Path, ranks: int, *more: str) -> Child:
    return start(place, ["train", *STREAM, f"trainer.devices={ranks}", f"data.batch_size={16 // ranks}", *more])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streaming")


@pytest.fixture(scope="module", params=[1, 2])
def whole(request: pytest.FixtureRequest, folder: Path) -> tuple[int, Run]:
    """A number of ranks, and the run of so many that was never stopped."""
    place = place_at(folder / f"whole-{request.param}")
    child = begin(place, request.param)
    assert child.wait() == 0, child.output
    run = the_run(place)
    assert final_state(run.path)["aigc"]["position"]["epoch"] >= 1
    return request.param, run


def stepped(place: Path) -> int:
    run = run_in(place)
    return reached(run) if run else 0


@pytest.mark.parametrize(("number", "step"), [(signal.SIGTERM, 3), (signal.SIGKILL, 8)])
def test_a_stopped_or_killed_run_is_resumed_as_if_uninterrupted(
    number: signal.Signals, step: int, whole: tuple[int, Run], tmp_path: Path
) -> None:
    ranks, never_stopped = whole
    place = place_at(tmp_path)
    child = begin(place, ranks, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= step)
    child.send(number)
    child.wait()
    run = the_run(place)
    wait_until(lambda: run.status is not Status.RUNNING)
    assert run.status is not Status.FINISHED
    assert 0 < saved(run) < STEPS
    again = start(place, ["resume", "latest", "~callbacks.slow", "--trust=tests"])
    assert again.wait() == 0, again.output
    assert_same(run, never_stopped)


def test_another_number_of_ranks_resumes_only_if_allowed(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = begin(place, 2, *SLOW)
    wait_until(lambda: child.ended or stepped(place) >= 3)
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    refused = start(place, ["resume", "latest", "trainer.devices=1", "--trust=tests"])
    assert refused.wait() == 2, refused.output
    assert "number of ranks was 2 and is 1" in refused.output
    assert "resume.allow=[world_size]" in refused.output
    allowed = ["~callbacks.slow", "trainer.devices=1", "resume.allow=[world_size]"]
    done = start(place, ["resume", "latest", *allowed, "--trust=tests"])
    assert done.wait() == 0, done.output
    assert "the stream cannot continue where it was: epoch 0 starts from its first" in done.output
    assert reached(the_run(place)) == STEPS

"""`aigc resume RUN trainer.max_steps=N` of a finished run, as processes."""

import re
import signal

import pytest

from aigc.runs import Run
from aigc.runs.files import sha256_file
from aigc.runs.metrics_file import read
from aigc.runs.verify import verify
from tests.cli.test_resume import TINY, rows, started, weights
from tests.launch.forking import run_aigc

pytestmark = pytest.mark.slow

LONG = [*TINY, "trainer.log_every_n_steps=4", "trainer.validate_every_n_steps=5", "callbacks.checkpoints.keep=1"]
CONSTANT = [*LONG, "scheduler=null"]
FIRST, LAST = "trainer.max_steps=7", "trainer.max_steps=14"
"""The first end has a row and a validation that the longer run does not have."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    place = tmp_path_factory.mktemp("longer")
    env = {"AIGC_OUTPUTS": str(place / "outputs"), "AIGC_CACHE": str(cache)}
    done = run_aigc(["train", *CONSTANT, LAST, "run.id=whole"], place, **env)
    assert done.returncode == 0, done.stderr
    return Run.open(place / "outputs/runs/whole")


def assert_equal(run, whole):
    assert run.status == "finished"
    assert rows(run) == rows(whole)
    assert weights(run) == weights(whole)
    kept = "val/perplexity", "val/bleu", "train/loss"
    assert [run.record.metrics[name] for name in kept] == [whole.record.metrics[name] for name in kept]
    assert run.record.result.best_step == whole.record.result.best_step
    assert [found for found in verify(run) if found.problem] == []


def test_more_steps_give_the_same_run(aigc, own_place, whole):
    assert aigc("train", *CONSTANT, FIRST, "run.id=mine").returncode == 0
    run = Run.open(own_place / "outputs/runs/mine")
    assert read(run.path / "metrics.jsonl")[-1]["step"] == 7
    # The longer run does not measure step 7, so the best of before is kept for it, although `keep` is 1.
    assert run.record.result.best_step == 7
    assert sorted(path.name for path in run.checkpoints.glob("step-*.ckpt")) == ["step-000005.ckpt", "step-000007.ckpt"]
    done = aigc("resume", "mine", LAST)
    assert done.returncode == 0, done.stderr
    assert "made for" not in done.stderr
    assert_equal(run, whole)
    assert [attempt.to_step for attempt in run.record.attempts] == [7, 14]
    names = [sorted(path.name for path in one.checkpoints.glob("step-*.ckpt")) for one in (run, whole)]
    assert names[0] == names[1]
    again = aigc("resume", "mine", LAST)
    assert again.returncode == 2
    assert "mine is finished" in again.stderr


def test_a_lower_limit_is_refused_and_the_run_stays_finished(aigc, own_place):
    assert aigc("train", *CONSTANT, FIRST, "run.id=mine").returncode == 0
    run = Run.open(own_place / "outputs/runs/mine")
    before = run.manifest, (run.path / "status.json").read_text()
    for command in (["resume", "mine"], ["train", *CONSTANT, "run.id=mine", "run.resume=auto"]):
        done = aigc(*command, "trainer.max_steps=3")
        assert done.returncode == 2
        assert "trainer.max_steps=3: step 7 of mine is saved" in done.stderr
    assert (run.manifest, (run.path / "status.json").read_text()) == before


def test_the_command_of_the_run_with_more_steps_continues_it(aigc, own_place, whole):
    command = ["train", *CONSTANT, "run.id=mine", "run.resume=auto"]
    assert aigc(*command, FIRST).returncode == 0
    run = Run.open(own_place / "outputs/runs/mine")
    done = aigc(*command, LAST)
    assert done.returncode == 0, done.stderr
    assert_equal(run, whole)
    for end in (FIRST, LAST):
        again = aigc(*command, end)
        assert again.returncode == 0
        assert "is finished: there is nothing to do" in again.stderr
    other = aigc(*command, LAST, "seed=3")
    assert other.returncode == 2
    assert "has another config" in other.stderr


def test_killed_in_between_it_keeps_its_results_and_continues(aigc, own_place, whole):
    assert aigc("train", *CONSTANT, FIRST, "run.id=mine").returncode == 0
    run = Run.open(own_place / "outputs/runs/mine")
    model, results = sha256_file(run.model / "model.safetensors"), run.record.metrics
    child = started(own_place, verb=["resume", "mine", LAST], until="step 11 of")
    assert child.kill() == -signal.SIGKILL
    assert run.status == "killed"
    assert sha256_file(run.model / "model.safetensors") == model
    assert run.record.metrics == results
    assert [found for found in verify(run) if found.problem] == []
    done = aigc("resume", "mine")
    assert done.returncode == 0, done.stderr
    assert_equal(run, whole)


def test_a_schedule_of_the_whole_run_is_named(aigc, own_place):
    assert aigc("train", *LONG, FIRST, "run.id=cosine").returncode == 0
    done = aigc("resume", "cosine", LAST)
    assert done.returncode == 0, done.stderr
    assert re.search("scheduler: made for 7 steps, and continued as for 14", done.stderr)
    run = Run.open(own_place / "outputs/runs/cosine")
    rates = {row["step"]: row.get("train/learning_rate") for row in read(run.path / "metrics.jsonl")}
    assert rates[8] > 0
    linear = [
        *("scheduler._target_=torch.optim.lr_scheduler.LinearLR", "~scheduler.warmup_steps", "~scheduler.final_ratio"),
        "+scheduler.total_iters=${trainer.max_steps}",
    ]
    assert aigc("train", *LONG, *linear, FIRST, "run.id=linear").returncode == 0
    done = aigc("resume", "linear", LAST)
    assert done.returncode == 2
    assert "LinearLR was made for 7 steps (scheduler.total_iters)" in done.stderr
    assert Run.open(own_place / "outputs/runs/linear").status == "finished"


def test_a_run_that_a_callback_ended_early_continues_with_another_patience(aigc, own_place):
    early = [
        "callbacks=early_stopping",
        "callbacks.early_stopping.min_delta=1e9",
        "callbacks.early_stopping.patience=1",
    ]
    assert aigc("train", *CONSTANT, LAST, *early, "run.id=mine").returncode == 0
    run = Run.open(own_place / "outputs/runs/mine")
    assert read(run.path / "metrics.jsonl")[-1]["step"] == 10
    done = aigc("resume", "mine", "trainer.num_threads=1")
    assert done.returncode == 2
    assert "mine is finished" in done.stderr
    done = aigc("resume", "mine", "callbacks.early_stopping.patience=9")
    assert done.returncode == 0, done.stderr
    assert read(run.path / "metrics.jsonl")[-1]["step"] == 14
    assert run.status == "finished"


def test_an_extended_run_is_reproduced(aigc, own_place):
    assert aigc("train", *CONSTANT, FIRST, "run.id=mine").returncode == 0
    assert aigc("resume", "mine", LAST).returncode == 0
    done = aigc("reproduce", "mine")
    assert done.returncode == 0, done.stderr


def test_a_run_whose_result_is_that_of_an_earlier_end_is_reproduced(aigc, own_place):
    # The perplexity falls, so that the first end stays the largest of the two.
    largest = ["callbacks.checkpoints.mode=max", "trainer.validate_every_n_steps=null", "run.id=mine"]
    assert aigc("train", *CONSTANT, FIRST, *largest).returncode == 0
    done = aigc("resume", "mine", LAST)
    assert done.returncode == 0, done.stderr
    run = Run.open(own_place / "outputs/runs/mine")
    assert run.record.result.best_step == 7
    done = aigc("reproduce", "mine")
    assert done.returncode == 0, done.stderr

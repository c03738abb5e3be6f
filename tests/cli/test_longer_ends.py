"""`aigc resume` of a finished run takes steps, or says what ended the run: exit code 2, and the run is as before."""

import pytest

from aigc.runs import Run
from aigc.runs.metrics_file import read_lines
from aigc.runs.verify import verify
from tests.launch.tiny_runs import LANGUAGE_MODEL, place_at

ALWAYS = [
    *LANGUAGE_MODEL[:-3],
    *("evaluation=null", "logger=none", "scheduler=null", "callbacks.throughput=null"),
    *("trainer.accelerator=cpu", "trainer.log_every_n_steps=4", "run.id=mine"),
]
EPOCH = 11
"""Steps of an epoch."""
EARLY = ["callbacks=early_stopping", "callbacks.early_stopping.patience=1", "callbacks.early_stopping.min_delta=1e9"]


def last(run):
    return list(read_lines(run.path / "metrics.jsonl"))[-1]["step"]


@pytest.fixture
def finished(own_place, in_process):
    def train(*overrides):
        place_at(own_place)
        code, _, error = in_process("train", *ALWAYS, *overrides)
        assert code == 0, error
        return Run.open(own_place / "outputs/runs/mine")

    return train


@pytest.mark.parametrize(
    ("overrides", "changes", "named", "more"),
    [
        (
            [f"trainer.max_steps={EPOCH}", "trainer.max_epochs=1"],
            [f"trainer.max_steps={2 * EPOCH}"],
            "trainer.max_epochs=1",
            [f"trainer.max_steps={EPOCH + 2}", "trainer.max_epochs=2"],
        ),
        (
            ["trainer.max_steps=40", "trainer.validate_every_n_steps=2", *EARLY],
            ["trainer.max_steps=60"],
            "callbacks.early_stopping",
            ["callbacks.early_stopping.patience=2", "trainer.max_steps=60"],
        ),
        (
            ["trainer.max_steps=40", "trainer.validate_every_n_steps=2", *EARLY],
            ["callbacks.checkpoints.keep=3"],
            "callbacks.early_stopping",
            ["callbacks.early_stopping=null", "trainer.max_steps=6"],
        ),
    ],
)
def test_a_change_that_takes_no_step_is_refused(overrides, changes, named, more, finished, in_process):
    run = finished(*overrides)
    before = run.manifest, last(run), run.status
    code, _, error = in_process("resume", "mine", *changes)
    assert code == 2
    assert named in error.splitlines()[-1]
    now = run.manifest
    assert [now[key] for key in ("attempts", "metrics")] == [before[0][key] for key in ("attempts", "metrics")]
    assert (last(run), run.status) == before[1:]
    assert [one for one in verify(run) if one.problem] == []
    code, _, error = in_process("resume", "mine", *more)
    assert code == 0, error
    assert last(run) > before[1]


def test_what_is_advised_for_a_finished_run_is_what_ended_it(finished, in_process):
    run = finished("trainer.max_steps=null", "trainer.max_epochs=1")
    code, _, error = in_process("resume", "mine", "trainer.max_epochs=1")
    assert code == 2
    assert "trainer.max_epochs" in error.partition("no effect")[2]
    assert "trainer.max_steps" not in error
    code, _, error = in_process("resume", "mine", "trainer.max_epochs=2")
    assert code == 0, error
    assert last(run) == 2 * EPOCH


@pytest.mark.slow
def test_less_time_than_the_run_has_taken_is_refused(finished, in_process):
    run = finished("trainer.max_steps=100000", "trainer.max_time=00:00:00:02")
    attempts = run.manifest["attempts"]
    code, _, error = in_process("resume", "mine", "trainer.max_time=00:00:00:01")
    assert code == 2
    assert "trainer.max_time: " in error.splitlines()[-1]
    assert (run.manifest["attempts"], run.status) == (attempts, "finished")

"""The result of a finished run stays when more steps do not better it; limits that would add no step are refused."""

import pytest
from omegaconf import OmegaConf

from aigc.callbacks import Checkpoints
from aigc.errors import InputError
from aigc.launch.attempt import attempt_config
from aigc.launch.length import described_length, is_longer
from aigc.runs import Run
from aigc.runs.checkpoints import BEST, step_of
from aigc.runs.files import sha256_file
from tests.conftest import write
from tests.training.in_process import attempt, begin, tiny_config, values

FIRST, LAST = 3, 10
"""The first end is no multiple of the steps between validations."""


def longer(place, mode):
    """Return a run that finished, its weights then, and its metrics then; it has taken more steps since."""
    more = ["trainer.validate_every_n_steps=5", f"callbacks.checkpoints.mode={mode}", "callbacks.checkpoints.keep=1"]
    cfg = tiny_config(place, *more, f"trainer.max_steps={FIRST}")
    run = attempt(begin(cfg, place), cfg)
    before = sha256_file(run.model / "model.safetensors"), dict(run.record.metrics)
    attempt(run, tiny_config(place, *more, f"trainer.max_steps={LAST}"))
    return run, *before


@pytest.mark.slow
def test_a_result_that_more_steps_do_not_better_stays(own_place):
    run, weights, metrics = longer(own_place, "max")  # the perplexity falls, so that the first end has the largest
    result = run.record.result
    assert (result.best_step, result.earlier_end) == (FIRST, True)
    assert run.record.metrics == metrics
    assert sha256_file(run.model / "model.safetensors") == weights
    assert step_of((run.checkpoints / BEST).resolve()) == FIRST
    assert list(values(run, "val/perplexity")) == [5, LAST]
    attempt(run, attempt_config(run, ["trainer.max_steps=12"]))
    assert run.record.result.best_step == FIRST


@pytest.mark.slow
def test_a_result_that_more_steps_better_is_replaced(own_place):
    run, weights, _ = longer(own_place, "min")
    assert (run.record.result.best_step, run.record.result.earlier_end) == (LAST, None)
    assert sha256_file(run.model / "model.safetensors") != weights
    assert {step_of(path) for path in run.checkpoints.glob("step-*.ckpt")} == {LAST}


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_earlier_of_two_equal_results_stays(mode):
    saver = Checkpoints(monitor="val/x", mode=mode)
    saver.earlier = {"step": 3, "metrics": {"val/x": 1.0}}
    saver.ranking = [{"step": 5, "value": 1.0, "metrics": {"val/x": 1.0}}]
    assert saver.best["step"] == 3
    saver.ranking[0]["value"] += 1 if mode == "max" else -1
    assert saver.best["step"] == 5


@pytest.mark.parametrize(
    ("limits", "written"),
    [
        ({"max_steps": 1, "max_epochs": 1}, "1 step or 1 epoch"),
        ({"max_steps": 2500}, "2,500 steps"),
        ({"max_epochs": 3}, "3 epochs"),
    ],
)
def test_the_length_is_described(limits, written):
    assert described_length(OmegaConf.create({"trainer": limits})) == written


def ended(place, step, epoch, **limits):
    """Return a run that ended at a step of an epoch, counted from 0, with these limits."""
    cfg = {"trainer": {"max_steps": None, "max_epochs": None, "max_time": None} | limits, "callbacks": {}}
    run = Run.create(place / "outputs/runs", "one", OmegaConf.to_yaml(OmegaConf.create(cfg)), [])
    write(run.checkpoints / f"step-{step:06d}.ckpt", "")
    with (run.path / "metrics.jsonl").open("w") as file:
        file.write(f'{{"step": {step}, "epoch": {epoch}, "wall_time": 1.0, "train/loss": 1.0}}\n')
    return run


@pytest.mark.parametrize(
    ("limits", "step", "changes", "named"),
    [
        ({"max_steps": 100, "max_epochs": 2}, 40, {"max_steps": 200}, "trainer.max_epochs=2"),
        ({"max_steps": None, "max_epochs": 2}, 40, {"max_steps": 200}, "trainer.max_epochs=2"),
        ({"max_steps": 100, "max_time": "00:01:00:00"}, 40, {"max_steps": 200}, "trainer.max_time=00:01:00:00"),
        ({"max_steps": 40, "max_epochs": 9}, 40, {"max_epochs": 12}, "trainer.max_steps=40"),
        ({"max_steps": 40, "max_time": "00:01:00:00"}, 40, {"max_time": None}, "trainer.max_steps=40"),
    ],
)
def test_a_limit_that_did_not_end_the_run_adds_no_step(limits, step, changes, named, own_place):
    run = ended(own_place, step, 1, **limits)
    after = OmegaConf.merge(run.config, {"trainer": changes})
    with pytest.raises(InputError) as caught:
        is_longer(run, run.config, after)
    assert f"{named} ended it at step {step}" in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "changes"),
    [
        ({"max_steps": 100, "max_epochs": 2}, {"max_epochs": 3}),
        ({"max_epochs": 2}, {"max_epochs": None, "max_steps": 90}),
        ({"max_steps": 40, "max_epochs": 9}, {"max_steps": 50}),
        ({"max_steps": 100}, {"max_steps": 200}),
        ({"max_time": "00:01:00:00"}, {"max_time": "00:02:00:00"}),
    ],
)
def test_a_limit_that_may_have_ended_it_does(limits, changes, own_place):
    run = ended(own_place, 40, 1, **limits)
    assert is_longer(run, run.config, OmegaConf.merge(run.config, {"trainer": changes}))


def test_fewer_epochs_than_are_done_are_refused_by_what_is_recorded(own_place):
    run = ended(own_place, 40, 1, max_epochs=2)
    with pytest.raises(InputError, match=r"trainer\.max_epochs=1: step 40 .* epoch 2"):
        attempt_config(run, ["trainer.max_epochs=1"])
    assert attempt_config(run, ["trainer.max_epochs=2"]).trainer.max_epochs == 2

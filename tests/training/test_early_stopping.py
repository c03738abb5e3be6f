"""A run ends once its value no longer improves, and resumes to the same end."""

import pytest
import torch
from pytorch_lightning import Callback, callbacks

from aigc.callbacks import BetweenSteps, Checkpoints, EarlyStopping, Ending, ExactState, Monitored
from aigc.config import ConfigError, check, compose
from aigc.launch.components import build_callbacks, build_schedule
from aigc.runs.metrics_file import read_lines
from aigc.tasks import Task
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer
from tests.training.in_process import attempt, begin, tiny_config, values
from tests.training.resumable import differences, final_state, rows
from tests.training.tiny_gan import image_data, image_evaluation, tiny_gan

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流", "山", "河"]
STOCK = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/perplexity"}
OURS = {"_target_": "aigc.callbacks.EarlyStopping"}


def with_ends(*mine):
    """The callbacks of a run in their order."""
    named = {f"callbacks.{type(one).__name__}": one for one in mine}
    return [Checkpoints(), ExactState(), BetweenSteps(), *mine, Monitored(named), Ending(named)]


def fit(folder, *mine, lr=0.01, **settings):
    """Train at most twenty steps, in which every later model is worse on texts held out."""
    data = text_data(folder, TEXTS, sequence_length=8, packing=False)  # six batches
    task = sgd_task(tiny_model(data), lr)
    chosen = {"max_steps": 20, "val_check_interval": 2, "check_val_every_n_epoch": None, "callbacks": with_ends(*mine)}
    made = trainer(folder, **(chosen | settings))
    made.fit(task, datamodule=data)
    return made, task


@pytest.mark.slow
@pytest.mark.parametrize("node", [STOCK, OURS], ids=["Lightning's", "ours"])
def test_it_ends_the_run_with_its_model_and_resumes_exactly(node, own_place):
    overrides = ["trainer.max_steps=200", "optimizer.lr=2.0", "callbacks.throughput=null"]
    cfg = tiny_config(own_place, *overrides, nodes={"callbacks.early": node | {"patience": 3}})
    whole = attempt(begin(cfg, own_place), cfg)
    measured = values(whole, "val/perplexity")
    best = min(measured, key=measured.get)
    assert max(measured) == best + 3 * 2 < 200
    assert whole.manifest["result"]["best_step"] == best
    assert (whole.model / "model.safetensors").is_file()
    stopped = begin(cfg, own_place)
    for until in (best + 1, best + 4):
        attempt(stopped, cfg, until=until)
    attempt(stopped, cfg)
    assert rows(stopped.path) == rows(whole.path)
    assert not differences(final_state(stopped.path), final_state(whole.path))


def test_values_reach_the_callbacks_of_lightning(tmp_path):
    seen = []

    class Looks(Callback):
        def on_validation_end(self, trainer, module):
            seen.append({name: float(value) for name, value in trainer.callback_metrics.items()})
            assert module.latest == seen[-1]
            assert trainer.progress_bar_metrics["train/loss"] == module.latest["train/loss"]

    fit(tmp_path, Looks(), max_steps=4, log_every_n_steps=1)
    assert {"train/loss", "val/perplexity"} <= set(seen[0])
    assert seen[0] != seen[1]


@pytest.mark.parametrize("kind", [callbacks.EarlyStopping, EarlyStopping])
def test_a_monitor_that_nothing_records_is_refused_before_the_first_step(kind, tmp_path):
    with pytest.raises(ConfigError) as caught:
        fit(tmp_path, kind("val/perplexitty"))
    (problem,) = caught.value.problems
    assert problem.key == "callbacks.EarlyStopping.monitor"
    assert "val/perplexity" in problem.what


@pytest.mark.parametrize(("mode", "best"), [(None, min), ("max", max)])
def test_the_mode_is_that_of_the_monitor_unless_it_is_given(mode, best, tmp_path):
    measured, early = [], EarlyStopping(mode=mode, patience=20)

    class Looks(Callback):
        def on_validation_end(self, trainer, module):
            measured.append(module.latest["val/perplexity"])

    fit(tmp_path, early, Looks())
    assert len(measured) == 10
    assert early.best_score == best(measured)


def test_it_follows_what_chooses_the_best_checkpoint():
    early = EarlyStopping()
    early.setup(trainer(None, callbacks=[saver := Checkpoints(monitor="val/bleu", mode="max")]), Accuracy(), "fit")
    assert (early.monitor, early.mode) == (saver.monitor, saver.mode) == ("val/bleu", "max")


class Accuracy(Task):
    monitor = ("val/accuracy", "max")


def test_a_monitor_that_is_better_when_larger():
    early = EarlyStopping(min_delta=0.25)
    early.setup(trainer(None), Accuracy(), "fit")
    assert (early.monitor, early.mode) == ("val/accuracy", "max")
    stopped = [early._evaluate_stopping_criteria(torch.tensor(value))[0] for value in (0.5, 0.7, 0.76, 0.8, 0.9, 1.0)]
    assert early.best_score == 0.76
    assert stopped == [False, False, False, False, False, True]


def test_patience_may_be_changed_for_a_resumed_run():
    early = EarlyStopping("val/loss", patience=9)
    state = EarlyStopping("val/loss", patience=1).state_dict() | {"wait_count": 1}
    early.load_state_dict(state)
    assert (early.patience, early.wait_count) == (9, 1)


class StopsAt(Callback):
    """Asks for the end after a batch, as a Timer does."""

    def __init__(self, batch):
        self.batch = batch

    def on_train_batch_end(self, trainer, *arguments):
        trainer.should_stop |= trainer.fit_loop.total_batch_idx == self.batch


def test_an_end_between_two_batches_of_a_step_waits_for_the_step(tmp_path):
    made, task = fit(tmp_path, StopsAt(7), accumulate_grad_batches=3, limit_train_batches=6, val_check_interval=600)
    assert task.steps_done == 3
    assert made.fit_loop.total_batch_idx == 8
    assert task.validated_at == 3


def test_min_steps_holds_an_end_back_also_in_a_resumed_run(tmp_path):
    _, task = fit(tmp_path / "whole", StopsAt(1), min_steps=9, val_check_interval=600)
    assert task.steps_done == 9
    ended = {"callbacks": [Ending({})], "min_steps": 9, "val_check_interval": 600}
    ended["callbacks"][0].load_state_dict({"asked": True})
    assert fit(tmp_path / "resumed", **ended)[1].steps_done == 9


def test_it_looks_at_images_that_are_measured_between_two_steps(tmp_path):
    """A value that can only become worse ends the run at the second evaluation, before another step."""
    for kind in (callbacks.EarlyStopping, EarlyStopping):
        folder = tmp_path / kind.__module__
        early = kind("val/fid_projection", patience=1, min_delta=1e9)
        evaluation = image_evaluation(folder)
        task = tiny_gan()
        between = {"check_val_every_n_epoch": None, "val_check_interval": 30}
        made = trainer(folder, max_steps=30, callbacks=with_ends(evaluation, early), **between)
        made.fit(task, datamodule=image_data(folder))
        assert task.steps_done == 12
        assert task.recorded_at["val/fid_projection"] == 12


def test_it_is_said_when_it_looks_at_the_end_only(tmp_path, caplog):
    fit(tmp_path, EarlyStopping(), max_steps=2)
    assert "validate_every_n_steps" in caplog.text


def test_the_choice_adds_to_the_default_callbacks():
    cfg = compose(["callbacks=early_stopping", "callbacks.early_stopping.patience=5"])
    check(cfg)
    assert {"checkpoints", "throughput", "progress", "early_stopping"} == set(cfg.callbacks)


def test_rows_end_with_the_run(own_place):
    cfg = tiny_config(own_place, nodes={"callbacks.timer": {"_target_": "pytorch_lightning.callbacks.Timer"}})
    run = attempt(begin(cfg, own_place), cfg)
    assert read_lines(run.path / "metrics.jsonl")[-1]["step"] == 10


@pytest.mark.parametrize("target", ["aigc.callbacks.EarlyStopping", "pytorch_lightning.callbacks.EarlyStopping"])
def test_a_score_of_which_larger_is_better_may_grow(target):
    cfg = compose([f"+callbacks.early._target_={target}", "+callbacks.early.monitor=val/bleu"])
    assert build_callbacks(cfg, "callbacks")["callbacks.early"].mode == "max"
    cfg = compose(["scheduler=plateau", "experiment=null", "scheduler.monitor=val/bleu"])
    assert (
        build_schedule(cfg)(optimizer=torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.1), total_steps=2).mode
        == "max"
    )

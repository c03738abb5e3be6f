"""The estimate of the time that is left and of the memory, which is logged once."""

import re

import pytest
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import Timer

from aigc.callbacks import Estimate, ExactState, estimate
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流", "山", "河"]


@pytest.fixture
def lines(tmp_path, monkeypatch):
    """Train, and return the estimates that were logged."""
    messages: list[str] = []
    monkeypatch.setattr(estimate.log, "info", lambda text, *values: messages.append(text % values))
    monkeypatch.setattr(estimate, "_SECONDS", 0.0)

    def train(**settings):
        messages.clear()
        data = text_data(tmp_path, TEXTS)
        chosen = {"max_steps": 40, "val_check_interval": 10, "check_val_every_n_epoch": None}
        callbacks = [*settings.pop("more", []), ExactState(), Estimate()]
        trainer(tmp_path, **chosen, callbacks=callbacks, **settings).fit(sgd_task(tiny_model(data)), datamodule=data)
        return [message for message in messages if message.startswith("about ")]

    return train


def test_it_is_logged_once_with_the_steps_and_validations_left(lines):
    (line,) = lines()
    assert re.fullmatch(
        r"about \d+ s left for 36 steps, and 4 validations of unknown length; peak memory \d+\.\d GiB", line
    )


class Clock(Callback):
    """A clock by which a step takes two seconds, and a validation 500."""

    now = 0.0

    def monotonic(self):
        return self.now

    def on_train_batch_start(self, trainer, module, *args):
        self.now += 2.0

    def on_validation_epoch_end(self, trainer, module):
        self.now += 500.0


def test_a_measured_validation_is_counted_and_steps_are_not_slower_for_it(lines, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(estimate, "time", clock)
    monkeypatch.setattr(estimate, "_SECONDS", 25.0)
    # Of 40 steps with validations at 10, 20, 30 and 40, at step 14 there are 26 steps and three validations left.
    (line,) = lines(more=[clock])
    assert line.startswith("about 26 min left for 26 steps; ")


def test_a_run_that_ends_before_enough_is_measured_is_not_estimated(lines, monkeypatch):
    monkeypatch.setattr(estimate, "_STEPS", 39)
    assert lines() == []


def test_a_time_limit_that_comes_first_is_what_is_left(lines, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(estimate, "time", clock)
    (line,) = lines(more=[clock, Timer("00:00:00:40")])  # real seconds, of which none pass
    assert re.match(r"about (39|40) s left until the time limit; ", line)
    (line,) = lines(more=[clock, Timer("01:00:00:00")])
    assert line.startswith("about 1 min left for 36 steps")
    (line,) = lines(more=[clock, Timer("00:00:00:40")], min_steps=39)
    assert line.startswith("about 1 min left until the time limit")

"""How long a run trains: steps, epochs, time."""

import pytest
import torch
from omegaconf import OmegaConf

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config import ConfigError
from aigc.config.schema import Trainer
from aigc.launch.trainer import last_step
from aigc.printing import plural
from aigc.runs import Run
from aigc.runs.status import Status
from tests.launch.tiny_runs import LANGUAGE_MODEL, place_at
from tests.training.in_process import attempt, begin, tiny_config, train, values
from tests.training.resumable import rows


def settings(**given):
    return OmegaConf.structured(Trainer) if not given else OmegaConf.merge(OmegaConf.create(vars(Trainer())), given)


@pytest.mark.parametrize(
    ("given", "batches", "steps"),
    [
        ({"max_steps": 7}, 5, 7),
        ({"max_steps": 7}, None, 7),
        ({"max_steps": None, "max_epochs": 3}, 5, 15),
        ({"max_steps": 7, "max_epochs": 3}, 5, 7),
        ({"max_steps": 100, "max_epochs": 3}, 5, 15),
        ({"max_steps": None, "max_epochs": 3, "accumulate_grad_batches": 2}, 5, 6),
        ({"max_steps": None, "max_epochs": 3, "limit_train_batches": 2}, 5, 6),
        ({"max_steps": 7, "max_epochs": 3}, None, 7),
    ],
)
def test_the_last_step(given, batches, steps):
    assert last_step(settings(**given), batches) == steps


def test_epochs_of_a_stream_are_not_known():
    with pytest.raises(ConfigError) as caught:
        last_step(settings(max_steps=None, max_epochs=2), None)
    assert [problem.key for problem in caught.value.problems] == ["trainer.max_epochs"]


EPOCHS = ["trainer.max_steps=null", "trainer.max_epochs=2", "data.batch_size=16", "scheduler.warmup_steps=2"]


@pytest.mark.slow
def test_epochs_set_the_length_of_the_schedule_and_resume_exactly(own_place):
    cfg = tiny_config(own_place, *EPOCHS)
    whole = attempt(begin(cfg, own_place), cfg)
    trained = values(whole, "train/loss")
    epochs = {row["step"]: row["epoch"] for row in rows(whole.path) if "train/loss" in row}
    steps = max(trained)
    assert epochs[steps // 2] == 0
    assert epochs[steps // 2 + 1] == epochs[steps] == 1
    as_steps = train(own_place, *EPOCHS, f"trainer.max_steps={steps}", "trainer.max_epochs=null")
    assert values(as_steps, "train/learning_rate") == values(whole, "train/learning_rate")
    assert values(as_steps, "train/loss") == trained
    stopped = begin(cfg, own_place)
    for until in (1, steps // 2, steps // 2 + 1):
        attempt(stopped, cfg, until=until)
    attempt(stopped, cfg)
    assert values(stopped, "train/loss") == trained
    assert values(stopped, "val/perplexity") == values(whole, "val/perplexity")


def test_another_batch_size_keeps_the_number_of_epochs(own_place):
    """After half the steps, with half the batch size: what is left of the first epoch, and all of the second."""
    cfg = tiny_config(own_place, *EPOCHS)
    run = begin(cfg, own_place)
    attempt(run, cfg, until=2)
    attempt(run, tiny_config(own_place, *EPOCHS, "data.batch_size=8", "resume.allow=[batch_size]"))
    epochs = [row["epoch"] for row in rows(run.path) if "train/loss" in row]
    assert epochs == [0, 0, 0, 1, 1, 1, 1, 1]
    assert values(run, "train/learning_rate")[8] < values(run, "train/learning_rate")[4]


def test_time_ends_a_run_that_is_validated_and_saved(own_place):
    run = train(
        own_place, "trainer.max_steps=100000", "trainer.max_time=00:00:00:01", "trainer.validate_every_n_steps=null"
    )
    last = max(values(run, "train/loss"))
    assert last < 100000
    assert list(values(run, "val/perplexity")) == [last]
    assert (run.model / "model.safetensors").is_file()


def test_a_run_without_time_left_ends_at_once_and_takes_more(own_place):
    cfg = tiny_config(own_place, "trainer.max_time=00:00:00:01")
    run = begin(cfg, own_place)
    attempt(run, cfg, until=3)
    (saved,) = {path.resolve() for path in run.checkpoints.glob("last.ckpt")}
    state = torch.load(saved, weights_only=True)
    state["callbacks"]["Timer"]["time_elapsed"]["train"] = 5.0
    AtomicCheckpointIO().save_checkpoint(state, saved)
    attempt(run, cfg)
    assert max(values(run, "train/loss")) == 3
    assert list(values(run, "val/perplexity")) == [2, 3]
    cfg.trainer.max_time = "00:00:01:00"
    attempt(run, cfg)
    assert max(values(run, "train/loss")) == 10


@pytest.mark.slow
def test_a_finished_run_takes_more_epochs(aigc, own_place):
    """From the command line; without a schedule it equals a run that asked for them from the start."""
    place_at(own_place)
    always = [
        "train",
        *LANGUAGE_MODEL[:-3],
        "evaluation=null",
        "scheduler=null",
        "logger=none",
        "trainer.max_steps=null",
    ]
    for name, epochs in (("short", 1), ("long", 2)):
        done = aigc(*always, f"trainer.max_epochs={epochs}", f"run.id={name}", "trainer.log_every_n_steps=1")
        assert done.returncode == 0, done.stderr
        assert plural(epochs, "epoch") in done.stderr.splitlines()[0]
    done = aigc("resume", "short", "trainer.max_epochs=2")
    assert done.returncode == 0, done.stderr
    short, long = (Run.open(own_place / "outputs/runs" / name) for name in ("short", "long"))
    assert values(short, "train/loss") == values(long, "train/loss")
    assert max(values(long, "train/loss")) == 2 * len(
        [row for row in rows(long.path) if row["epoch"] == 0 and "train/loss" in row]
    )
    refused = aigc("resume", "long", "trainer.max_epochs=1")
    assert refused.returncode == 2
    assert "max_epochs" in refused.stderr
    assert Run.open(own_place / "outputs/runs/long").status is Status.FINISHED

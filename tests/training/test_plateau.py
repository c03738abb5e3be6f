"""ReduceLROnPlateau follows a recorded value, steps where it is recorded, and resumes."""

import pytest
import torch
from omegaconf import OmegaConf

from aigc.config import ConfigError
from aigc.launch.components import build_schedule
from tests.training.gans import gan_data, whole_gan
from tests.training.helpers import trainer
from tests.training.in_process import attempt, begin, tiny_config, train, values
from tests.training.resumable import final_state
from tests.training.test_early_stopping import with_ends

pytestmark = pytest.mark.slow

PLATEAU = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "patience": 0, "factor": 0.5, "threshold": 1e9}
"""Nothing is an improvement on the first value, so that every later one halves the rate."""


@pytest.mark.parametrize(
    ("task", "given", "mode"),
    [
        ("tests.training.language_tasks.Classifier", {}, "max"),
        ("tests.training.language_tasks.Classifier", {"monitor": "val/loss"}, "min"),
        ("tests.training.language_tasks.Classifier", {"mode": "min"}, "min"),
        ("aigc.tasks.CausalLM", {"monitor": None}, "min"),
    ],
)
def test_its_mode_is_that_of_the_value(task, given, mode):
    node = {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", **given}
    cfg = OmegaConf.create({"task": {"_target_": task}, "scheduler": node})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    assert build_schedule(cfg)(optimizer=optimizer, total_steps=3).mode == mode


def rates(run):
    return list(values(run, "train/learning_rate").values())


def test_it_steps_at_validations(own_place):
    run = train(own_place, "trainer.validate_every_n_steps=3", nodes={"scheduler": PLATEAU | {"threshold_mode": "abs"}})
    first = rates(run)[0]
    assert [rate / first for rate in rates(run)] == [1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_a_resumed_run_goes_on_with_its_state(own_place):
    nodes = {"scheduler": PLATEAU | {"threshold_mode": "abs", "monitor": "train/loss"}}
    cfg = tiny_config(own_place, "trainer.validate_every_n_steps=3", nodes=nodes)
    whole, stopped = attempt(begin(cfg, own_place), cfg), begin(cfg, own_place)
    for until in (3, 4, 7):
        attempt(stopped, cfg, until=until)
    attempt(stopped, cfg)
    assert rates(stopped) == rates(whole)
    told, expected = (final_state(run.path)["lr_schedulers"] for run in (stopped, whole))
    assert told == expected
    assert told[0]["num_bad_epochs"] == 0
    assert told[0]["last_epoch"] == 3


@pytest.mark.parametrize("every", [None, 10, 5])
def test_it_is_said_where_nothing_is_measured_before_the_end(every, own_place, caplog):
    written = "null" if every is None else every
    train(own_place, f"trainer.validate_every_n_steps={written}", nodes={"scheduler": PLATEAU})
    assert ("scheduler looks at validations" in caplog.text) == (every != 5)


def test_an_unknown_monitor_is_refused_before_the_first_step(own_place):
    with pytest.raises(ConfigError) as caught:
        train(own_place, nodes={"scheduler": PLATEAU | {"monitor": "val/los"}})
    assert [problem.key for problem in caught.value.problems] == ["scheduler.monitor"]


def test_a_task_that_steps_its_own_optimisers(tmp_path):
    """The schedules of both networks follow a value of the images, and do not step with the optimisers."""
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    from tests.training.tiny_gan import image_evaluation

    task = whole_gan(scheduler=lambda optimizer, total_steps: ReduceLROnPlateau(optimizer, patience=0, threshold=1e9))
    task.schedule_monitor = "val/fid_projection"
    made = trainer(tmp_path, max_steps=18, callbacks=with_ends(image_evaluation(tmp_path)))
    made.fit(task, datamodule=gan_data(tmp_path))
    assert [config.scheduler.last_epoch for config in made.lr_scheduler_configs] == [3, 3]

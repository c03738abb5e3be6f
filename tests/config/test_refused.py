"""Classes that do not fit into a run are refused by `validate`, which names what does; limits must fit together."""

import subprocess
import sys

import pytest

from aigc.config import ConfigError, check, compose
from tests.conftest import write


def problems(*overrides):
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides))
    return {problem.key: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("ModelCheckpoint", "callbacks.checkpoints"),
        ("model_checkpoint.ModelCheckpoint", "callbacks.checkpoints"),
        ("OnExceptionCheckpoint", "callbacks.checkpoints"),
        ("StochasticWeightAveraging", "EMAWeightAveraging"),
        ("GradientAccumulationScheduler", "trainer.accumulate_grad_batches"),
        ("BatchSizeFinder", "aigc sweep"),
        ("LearningRateFinder", "aigc sweep"),
        ("BackboneFinetuning", "model.adapter"),
        ("BaseFinetuning", "model.adapter"),
        ("ModelPruning", "masked"),
    ],
)
def test_callbacks_that_are_replaced(name, instead):
    found = problems(f"+callbacks.x._target_=pytorch_lightning.callbacks.{name}")
    assert instead in found["callbacks.x._target_"]


def test_a_callback_that_derives_from_one(own_place, monkeypatch):
    source = "from pytorch_lightning.callbacks import ModelCheckpoint\nclass Mine(ModelCheckpoint):\n    pass\n"
    write(own_place / "mine_d.py", source)
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["mine_d"]\n')
    monkeypatch.syspath_prepend(own_place)
    assert "callbacks.checkpoints" in problems("+callbacks.x._target_=mine_d.Mine")["callbacks.x._target_"]


@pytest.mark.parametrize(
    ("slot", "target", "instead"),
    [
        ("optimizer", "torch.optim.LBFGS", "several times"),
        ("optimizer", "torch.optim.SparseAdam", "sparse"),
        ("optimizer", "torch.optim.Muon", "optimizer=muon"),
        ("scheduler", "torch.optim.lr_scheduler.LambdaLR", "functions"),
        ("scheduler", "torch.optim.lr_scheduler.SequentialLR", "WarmupCosine"),
        ("scheduler", "torch.optim.lr_scheduler.ChainedScheduler", "WarmupCosine"),
    ],
)
def test_optimisers_and_schedules_that_do_not_fit(slot, target, instead):
    assert instead in problems(f"{slot}._target_={target}")[f"{slot}._target_"]


def test_a_schedule_may_derive_from_one_that_takes_functions():
    check(compose(["scheduler._target_=aigc.optim.WarmupCosine"]))


def test_the_other_name_of_lightning_is_known():
    found = problems("+callbacks.x._target_=lightning.pytorch.callbacks.LearningRateMonitor")
    assert "pytorch_lightning.callbacks.LearningRateMonitor" in found["callbacks.x._target_"]


def test_only_a_plateau_has_a_monitor():
    assert "scheduler.monitor" in problems("+scheduler.monitor=val/loss")
    assert "scheduler.monitor" in problems("scheduler=plateau", "experiment=null", "scheduler.monitor=3")
    check(compose(["scheduler=plateau", "experiment=null", "scheduler.monitor=val/loss"]))


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["trainer.max_steps=null"], "trainer.max_steps"),
        (["trainer.max_steps=3", "trainer.min_steps=4"], "trainer.min_steps"),
        (["trainer.max_time=8h"], "trainer.max_time"),
        (["trainer.max_time=08:00:00"], "trainer.max_time"),
        (["trainer.max_time=00:00:00:00"], "trainer.max_time"),
        (["trainer.max_time=3"], "trainer.max_time"),
        (["run.id=.."], "run.id"),
        (["run.id=a/b"], "run.id"),
        (["run.id=latest"], "run.id"),
        (["run.id=''"], "run.id"),
        (["run.id=" + "x" * 161], "run.id"),
        (["sweep.name=a/b"], "sweep.name"),
        (["data=streamed", "data.path=x", "trainer.max_epochs=1"], "trainer.max_epochs"),
        (["experiment=lm/text", "data.path=x", "data.prompt_column=a"], "data.prompt_column"),
        (["experiment=lm/text", "data.path=x", "data.completion_column=a"], "data.completion_column"),
        (["trainer.max_epochs=0"], "trainer.max_epochs"),
    ],
)
def test_limits_of_training_that_do_not_fit(overrides, key):
    assert key in problems(*overrides)


def test_limits_of_training_that_fit():
    for overrides in (
        ["trainer.max_steps=null", "trainer.max_epochs=2"],
        ["trainer.max_epochs=2", "trainer.min_steps=5", "trainer.max_time=00:08:00:00"],
    ):
        check(compose(overrides))


def test_none_of_this_imports_torch():
    code = (
        "import sys; from aigc.config import *\n"
        "try: check(compose(['+callbacks.x._target_=pytorch_lightning.callbacks.ModelCheckpoint']))\n"
        "except ConfigError: sys.exit('torch' in sys.modules)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def _schedule(name):
    return [f"scheduler._target_=torch.optim.lr_scheduler.{name}"]


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (
            [
                "+callbacks.x._target_=pytorch_lightning.callbacks.LearningRateMonitor",
                "+callbacks.x.logging_interval=x",
            ],
            "callbacks.x",
        ),
        (
            ["+callbacks.x._target_=pytorch_lightning.callbacks.Timer", "trainer.max_time=00:00:01:00"],
            "trainer.max_time",
        ),
        (["optimizer.lr=-1"], "optimizer"),
        (["optimizer.fused=true", "+optimizer.foreach=true"], "optimizer"),
        (["scheduler=plateau", "experiment=null", "scheduler.factor=2.0"], "scheduler"),
        ([*_schedule("StepLR"), "scheduler.step_size=0"], "scheduler.step_size"),
        ([*_schedule("CosineAnnealingLR"), "scheduler.T_max=0"], "scheduler.T_max"),
        (
            [*_schedule("CyclicLR"), "scheduler.base_lr=0.1", "scheduler.max_lr=1.0", "scheduler.step_size_up=0"],
            "scheduler.step_size_up",
        ),
    ],
)
def test_what_classes_refuse_is_found_by_building_them(overrides, key):
    from aigc.launch.deep_check import check_buildable

    check_buildable(compose())
    with pytest.raises(ConfigError) as caught:
        check_buildable(compose(overrides))
    (problem,) = caught.value.problems
    assert problem.key == key


ONE_CYCLE = [*_schedule("OneCycleLR"), "trainer.max_steps=40"]
PLATEAU = ["scheduler=plateau", "experiment=null"]


@pytest.mark.parametrize(
    "overrides",
    [
        [*ONE_CYCLE, "scheduler.max_lr=[1e-3,1e-3,1e-3]"],
        [*ONE_CYCLE, "scheduler.max_lr=[1e-3,1e-3,2e-3]", "+scheduler.max_momentum=[0.9,0.9,0.8]"],
        [*PLATEAU, "scheduler.min_lr=[0,1e-5,1e-5]"],
        [*_schedule("MultiStepLR"), "scheduler.milestones=[2,4]"],
        [*_schedule("MultiStepLR"), "scheduler.milestones=[]"],
    ],
)
def test_lists_of_a_schedule_may_hold_a_value_for_each_group_of_parameters(overrides):
    from aigc.launch.deep_check import check_buildable

    check_buildable(compose(overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        [*ONE_CYCLE, "scheduler.max_lr=[1e-3,1e-3,1e-3]", "+scheduler.pct_start=2.0"],
        [*_schedule("CyclicLR"), "scheduler.base_lr=[0.1,0.1]", "scheduler.max_lr=[1.0,1.0,1.0]"],
        [*PLATEAU, "scheduler.min_lr=[0,1e-5,1e-5]", "scheduler.factor=2.0"],
    ],
)
def test_lists_that_no_number_of_groups_fits_and_other_values_are_refused(overrides):
    from aigc.launch.deep_check import check_buildable

    with pytest.raises(ConfigError) as caught:
        check_buildable(compose(overrides))
    assert [problem.key for problem in caught.value.problems] == ["scheduler"]


def test_a_schedule_of_a_persons_own_is_left_to_the_training(own_place, monkeypatch):
    from aigc.launch.deep_check import check_buildable

    source = """
from torch.optim.lr_scheduler import LRScheduler

class ByName(LRScheduler):
    def get_lr(self):
        return [group["lr"] * (0.5 if group["name"] == "embeddings" else 1) for group in self.optimizer.param_groups]
"""
    write(own_place / "mine_s.py", source)
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["mine_s"]\n')
    monkeypatch.syspath_prepend(own_place)
    check_buildable(compose(["scheduler._target_=mine_s.ByName"]))

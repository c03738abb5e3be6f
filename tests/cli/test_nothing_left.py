"""Values that only a class of torch or Lightning refuses: exit code 2, the key is named, and nothing is left behind."""

import pytest

from tests.launch.tiny_runs import LANGUAGE_MODEL, place_at

SCHEDULE = "scheduler._target_=torch.optim.lr_scheduler."


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        ([f"{SCHEDULE}StepLR", "scheduler.step_size=0"], "scheduler.step_size"),
        ([f"{SCHEDULE}CosineAnnealingLR", "scheduler.T_max=0"], "scheduler.T_max"),
        ([f"{SCHEDULE}OneCycleLR", "scheduler.max_lr=[1e-3,1e-3]"], "param_groups has 3"),
        (["optimizer.fused=true", "+optimizer.foreach=true"], "optimizer"),
        (["optimizer.fused=false", "+optimizer.differentiable=true"], "optimizer"),
        (["+callbacks.x._target_=pytorch_lightning.callbacks.BackboneFinetuning"], "callbacks.x"),
        (["+callbacks.x._target_=pytorch_lightning.callbacks.Timer", "+callbacks.x.duration=1 hour"], "callbacks.x"),
        (["callbacks=early_stopping", "callbacks.early_stopping.monitor=nope"], "callbacks.early_stopping.monitor"),
    ],
)
def test_a_refused_value_leaves_no_run(overrides, key, own_place, in_process):
    place_at(own_place)
    always = ["evaluation=null", "logger=none", "trainer.max_steps=3", "trainer.accelerator=cpu"]
    code, _, error = in_process("train", *LANGUAGE_MODEL[:-3], *always, *overrides)
    assert code == 2, error
    assert key in error
    assert not any(one for one in (own_place / "outputs").glob("runs/*") if not one.name.startswith("."))

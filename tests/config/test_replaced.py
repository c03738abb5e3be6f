"""Another choice of a group, or another class, drops the keys that belonged to the old one."""

import pytest

from aigc.config import ConfigError, check, compose
from aigc.config.choices import group_choices
from aigc.config.compose import override
from aigc.config.origins import origins_of
from tests.conftest import write

HEADER = "# @package _global_\n"


def composed(*overrides):
    cfg = compose(list(overrides))
    check(cfg)
    return cfg


def test_a_schedule_brings_its_own_keys():
    cfg = composed("scheduler=linear")
    assert "warmup_steps" not in cfg.scheduler
    assert cfg.scheduler.end_factor == 0.0
    [note] = origins_of(cfg).notes
    assert "scheduler.warmup_steps" in note
    assert "lm/tang_quatrains.yaml:" in note


def test_an_optimiser_brings_its_own_values():
    before, now = composed("experiment=gan/digits"), composed("experiment=gan/digits", "optimizer=adamw")
    assert (before.optimizer.lr, now.optimizer.lr) == (4e-4, 3e-4)
    assert list(now.optimizer.betas) == [0.9, 0.95]


def test_the_same_choice_typed_changes_nothing():
    assert composed("scheduler=warmup_cosine") == composed()


def test_a_choice_of_the_same_class_keeps_what_an_experiment_sets():
    assert composed("experiment=gan/cifar10_r3gan", "data=fashion_mnist").data.flip is True


def test_settings_of_an_architecture_belong_to_it(own_place):
    text = f"{HEADER}model:\n  settings:\n    n_layer: 7\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    assert composed("experiment=mine").model.settings.n_layer == 7
    assert "n_layer" not in composed("experiment=mine", "model=llama").model.settings


def test_a_typed_class_keeps_what_it_takes_and_what_was_typed():
    cfg = composed("optimizer._target_=torch.optim.SGD", "optimizer.momentum=0.9")
    assert dict(cfg.optimizer) == {
        "_target_": "torch.optim.SGD",
        "lr": 3e-4,
        "weight_decay": 0.1,
        "fused": True,
        "momentum": 0.9,
    }
    with pytest.raises(ConfigError, match=r"optimizer.betas .*takes no 'betas'"):
        composed("optimizer._target_=torch.optim.SGD", "optimizer.betas=[0.1,0.2]")


def test_a_class_in_a_file_drops_what_it_does_not_take(own_place):
    write(
        own_place / "conf/experiment/mine.yaml", f"{HEADER}optimizer:\n  _target_: torch.optim.SGD\n  momentum: 0.5\n"
    )
    assert "betas" not in composed("experiment=mine").optimizer


def test_a_class_of_ones_own_keeps_the_keys_of_its_base(own_place, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(own_place))
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["own_task"]\n')
    write(own_place / "own_task.py", "from aigc.tasks import CausalLM\n\n\nclass Mine(CausalLM):\n    pass\n")
    monkeypatch.syspath_prepend(str(own_place))
    assert composed("task._target_=own_task.Mine").task.embedding_lr_ratio == 5.0


def test_evaluations_of_the_old_choice_leave_and_added_ones_stay(own_place):
    node = "{_target_: aigc.evaluation.TextGeneration, samples: 3}"
    text = f"{HEADER}evaluation:\n  generation:\n    samples: 7\n  mine: {node}\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    assert composed("experiment=mine").evaluation.generation.samples == 7
    cfg = compose(["experiment=mine", "evaluation=images", "task=gan", "model=dcgan", "data=letters"])
    assert set(cfg.evaluation) == {"images", "mine"}


def test_other_data_do_not_inherit_the_default_experiment():
    cfg = composed("data=text", "data.path=mine.txt")
    assert cfg.experiment == "lm/text" if "lm/text" in group_choices()["experiment"] else "text"
    assert "prompt_pattern" not in cfg.evaluation.generation
    assert composed("data=couplets") == composed("experiment=lm/couplets")
    kept = composed("data=text", "data.path=mine.txt", "experiment=lm/tang_quatrains")
    assert kept.evaluation.generation.prompt_pattern


def test_a_frozen_config_is_changed_by_a_choice_alone():
    gan = composed("experiment=gan/letters")
    changed = override(gan, ["trainer=cpu"], ["trainer"])
    assert changed.trainer == {**gan.trainer, "accelerator": "cpu"}
    assert "prompt_pattern" not in override(gan, ["evaluation=generation"], ["evaluation"]).evaluation.generation


LORA = """# @package _global_
defaults:
  - /experiment/lm/finetune
  - override /adapter: lora
model:
  path: somewhere
  adapter:
    rank: 4
    merge: false
data:
  path: mine.jsonl
"""


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"rank": 4, "merge": False}),
        ("adapter=dora", {"rank": 4, "merge": False, "use_dora": True}),
        ("adapter=ia3", {"_target_": "aigc.models.adapters.IA3", "merge": False}),
        ("adapter=prompt_tuning", {"_target_": "aigc.models.adapters.PromptTuning", "num_virtual_tokens": 20}),
        ("adapter=null", None),
        ("~adapter", None),
    ],
)
def test_an_adapter_of_another_class_keeps_what_it_takes(choice, expected, own_place):
    write(own_place / "conf/experiment/mine.yaml", LORA)
    adapter = composed("experiment=mine", *filter(None, [choice])).model.adapter
    if expected is None:
        assert adapter is None
    else:
        assert expected.items() <= dict(adapter).items()
        assert ("rank" in adapter) == ("rank" in expected)


def test_an_experiment_may_leave_out_the_adapter_of_the_one_that_it_derives_from(own_place):
    write(own_place / "conf/experiment/mine.yaml", LORA)
    text = "# @package _global_\ndefaults:\n  - /experiment/mine\n  - override /adapter: null\n"
    write(own_place / "conf/experiment/whole.yaml", text)
    assert composed("experiment=whole").model.get("adapter") is None

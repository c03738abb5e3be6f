import pytest
import torch
from pytorch_lightning import Callback
from torch import nn
from torch.optim import Optimizer

from aigc.config import ConfigError, build, factory
from aigc.errors import InputError
from tests.conftest import write


def test_builds_a_class_with_its_parameters():
    made = build({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, nn.Module)
    assert made.weight.shape == (3, 2)


def test_supplied_parameters_come_from_the_framework():
    make = factory({"_target_": "torch.optim.AdamW", "lr": 0.5}, Optimizer)
    assert make(params=nn.Linear(1, 1).parameters()).defaults["lr"] == 0.5


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("os.system", "not trusted"),
        ("subprocess.Popen", "not trusted"),
        ("torch.load", "not a class"),
        ("torch.utils.data.dataloader.os.system", "cannot import"),
        ("torch.utils.cpp_extension.subprocess.Popen", "cannot import"),
        ("torch.nn.Nothing", "cannot import"),
        ("torch.nn.Linear", "not a subclass"),
    ],
)
def test_nothing_but_trusted_classes_is_built(target, message):
    with pytest.raises(ConfigError, match=message):
        build({"_target_": target}, Callback)


def test_an_alias_of_another_package_is_not_trusted(own_place, monkeypatch):
    # The path starts with a trusted package, but the class is in another module, which decides.
    import torch

    import aigc.errors

    class Foreign(Callback):
        pass

    Foreign.__module__ = "somewhere_else"
    monkeypatch.setattr(aigc.errors, "Foreign", Foreign, raising=False)
    monkeypatch.setattr(torch, "Foreign", Foreign, raising=False)
    with pytest.raises(ConfigError, match=r"somewhere_else.*not trusted"):
        build({"_target_": "aigc.errors.Foreign"}, Callback)


def test_an_untrusted_module_is_not_even_imported(own_place, monkeypatch):
    write(own_place / "evil_module.py", "open('ran', 'w')\nclass X: ...\n")
    monkeypatch.syspath_prepend(own_place)
    with pytest.raises(ConfigError):
        build({"_target_": "evil_module.X"}, Callback)
    assert not (own_place / "ran").exists()


def test_a_refused_value_names_its_key():
    with pytest.raises(ConfigError, match=r"optimizer: torch.optim.AdamW .*Invalid learning rate"):
        build(
            {"_target_": "torch.optim.AdamW", "lr": -1.0}, Optimizer, "optimizer", params=nn.Linear(1, 1).parameters()
        )


def test_two_metrics_of_one_score_are_refused_before_they_overwrite_each_other():
    from aigc.evaluation import TextGeneration

    bleu = {"_target_": "aigc.metrics.text.BLEU"}
    nodes = {"bleu": bleu, "chrf": {"_target_": "aigc.metrics.text.CHRF"}, "other": {**bleu, "tokenize": "char"}}
    message = r"metrics.other gives the score bleu, and so does evaluation.mine.metrics.bleu"
    with pytest.raises(InputError, match=message):
        TextGeneration(nodes).bind("evaluation.mine")
    assert list(TextGeneration({**nodes, "bleu": None}).bind("evaluation.mine").metrics) == ["chrf", "other"]


def test_mappings_for_dataclass_parameters_become_dataclasses():
    from aigc.evaluation import TextGeneration

    node = {"_target_": "aigc.evaluation.TextGeneration", "metrics": {}, "sampling": {"top_k": 3}}
    assert build(node, TextGeneration).sampling.top_k == 3


def test_names_that_only_type_checkers_import_do_not_matter():
    """torch.optim.lr_scheduler.MultiStepLR annotates with one."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    node = {"_target_": "torch.optim.lr_scheduler.MultiStepLR", "milestones": [3]}
    made = build(node, torch.optim.lr_scheduler.LRScheduler, "scheduler", optimizer=optimizer)
    assert made.milestones == {3: 1}


def test_a_dataclass_may_be_a_parameter_of_the_constructor_that_takes_further_keywords():
    data = build({"_target_": "aigc.data.text.TextData", "path": "x.txt", "chat": {"system": "be brief"}}, object)
    assert data.reading_settings.chat.system == "be brief"

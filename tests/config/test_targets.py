"""Signatures read from source must equal those of the imported class."""

import inspect
from importlib import import_module

import pytest

from aigc.config.class_sources import TargetError, find_class
from aigc.config.compose import compose
from aigc.config.keys import known_keys
from aigc.config.targets import is_subclass, signature
from aigc.config.types import mismatches

TARGETS = [
    "torch.optim.AdamW",
    "torch.nn.Linear",
    "torch.optim.lr_scheduler.OneCycleLR",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "aigc.data.text.TextData",
    "aigc.data.text.StreamedText",
    "aigc.data.images.ImageData",
    "aigc.models.TransformersCausalLM",
    "aigc.tasks.CausalLM",
    "aigc.optim.WarmupCosine",
    "aigc.evaluation.TextGeneration",
    "aigc.callbacks.Checkpoints",
    "aigc.logger.WandB",
    "aigc.metrics.text.BLEU",
]


def named_parameters(cls):
    """Return the parameters of the class, and of its first base class where it passes on keywords."""
    real = inspect.signature(cls.__init__).parameters
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {key: p for key, p in real.items() if key != "self" and p.kind not in kinds}
    hands_on = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in real.values()) and "__init__" in vars(cls)
    return named_parameters(cls.__bases__[0]) | named if hands_on and cls.__module__.startswith("aigc") else named


@pytest.mark.parametrize("target", TARGETS)
def test_source_and_import_agree(target):
    module, _, name = target.rpartition(".")
    named = named_parameters(getattr(import_module(module), name))
    found = signature(target)
    assert list(found.parameters) == list(named)
    for key, parameter in named.items():
        assert found.parameters[key].required == (parameter.default is inspect.Parameter.empty)


def test_what_a_constructor_passes_on_itself_is_not_asked_for():
    found = signature("pytorch_lightning.loggers.TensorBoardLogger").parameters
    assert "root_dir" not in found
    assert {"save_dir", "name", "version", "sub_dir"} <= set(found)


def test_subclasses_are_followed_through_reexports():
    assert is_subclass("aigc.callbacks.Checkpoints", "pytorch_lightning.Callback") is True
    assert is_subclass("pytorch_lightning.callbacks.EarlyStopping", "pytorch_lightning.Callback") is True
    assert is_subclass("torch.nn.Linear", "pytorch_lightning.Callback") is False
    assert is_subclass("torch.nn.Linear", "torch.nn.Module") is True


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.optim.AdmaW", "did you mean AdamW"),
        ("torch.optimm.AdamW", "did you mean optim"),
        ("nothing_here.X", "not installed"),
        ("AdamW", "not the dotted path"),
        ("torch.nn.functional.relu", "function"),
        ("torch..X", "not the dotted path"),
    ],
)
def test_missing_things_are_reported(target, message):
    with pytest.raises(TargetError, match=message):
        find_class(target)


def test_every_known_key_of_the_default_config_has_help():
    undocumented = [k for k, p in known_keys(compose()).items() if not p.doc and not k.startswith("optimizer.")]
    assert undocumented == []


def test_a_function_is_not_a_value_of_a_config():
    (pattern,) = signature("aigc.metrics.text.form_accuracy.FormAccuracyScorer").parameters.values()
    assert list(mismatches("pattern", "[a-z]+", pattern.type)) == []
    assert list(mismatches("pattern", ["a-z"], pattern.type)) == [("pattern", "['a-z'] is not a text")]

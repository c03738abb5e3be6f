"""`validate` refuses what constructors refuse, in their words and without importing them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.config import ConfigError, check, compose
from aigc.config.guards import refusals

OPTIMIZERS = {
    "Adam": ("lr", "eps", "weight_decay", "betas"),
    "AdamW": ("lr", "eps", "weight_decay", "betas"),
    "NAdam": ("lr", "eps", "weight_decay", "betas", "momentum_decay"),
    "SGD": ("lr", "momentum", "weight_decay", "nesterov"),
    "RMSprop": ("lr", "eps", "momentum", "weight_decay", "alpha"),
    "Adagrad": ("lr", "lr_decay", "eps", "weight_decay"),
    "Rprop": ("lr", "etas"),
}
NUMBERS = st.sampled_from([-1.0, -1e-9, 0.0, 1e-8, 0.5, 0.999, 1.0, 1.5, 3.0, math.nan])


@pytest.mark.parametrize("name", OPTIMIZERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_refusal_is_one_of_torch_and_torch_refuses_nothing_else(name, data):
    kinds = {"betas": st.tuples(NUMBERS, NUMBERS), "etas": st.tuples(NUMBERS, NUMBERS), "nesterov": st.booleans()}
    values = {key: data.draw(kinds.get(key, NUMBERS), key) for key in OPTIMIZERS[name]}
    found = list(refusals(f"torch.optim.{name}", values))
    refused = None
    try:
        getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)], **values)
    except ValueError as error:
        refused = str(error)
    assert (found[0][1] if found else None) == refused


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("optimizer.lr=nan", "optimizer.lr"),
        ("optimizer.lr=inf", "optimizer.lr"),
        ("optimizer.lr=-1", "optimizer.lr"),
        ("optimizer.weight_decay=-0.1", "optimizer.weight_decay"),
        ("optimizer.betas=[0.9]", "optimizer.betas"),
        ("optimizer.betas=[0.9,0.99,0.999]", "optimizer.betas"),
        ("optimizer.betas=[0.9,1.0]", "optimizer.betas"),
        ("optimizer.betas=[]", "optimizer.betas"),
        ("optimizer.eps=-1e-8", "optimizer.eps"),
        ("trainer.gradient_clip_val=nan", "trainer.gradient_clip_val"),
        ("trainer.gradient_clip_val=-1", "trainer.gradient_clip_val"),
        ("run.patience=inf", "run.patience"),
        *((f"{key}={blank}", key) for key in ("data.path", "data.validation_path") for blank in ("''", "' '", "'\t'")),
    ],
)
def test_numbers_out_of_range_are_refused_before_torch_is_imported(typed, key):
    with pytest.raises(ConfigError) as caught:
        check(compose([typed]))
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (["data=text", "data.path="], "data.path"),
        (["data=streamed", "data.path="], "data.path"),
        (["data.validation_path="], "data.validation_path"),
        (["experiment=gan/images", "data.path="], "data.path"),
        (["experiment=gan/letters", "data.validation_path="], "data.validation_path"),
        (["model=pretrained", "model.path="], "model.path"),
    ],
)
def test_empty_paths_are_refused_without_reading_any_file(typed, key):
    with pytest.raises(ConfigError) as caught:
        check(compose(typed))
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("LinearLR scheduler.start_factor=0", "start_factor"),
        ("LinearLR scheduler.end_factor=1.5", "end_factor"),
        ("ConstantLR scheduler.factor=2", "factor"),
        ("ReduceLROnPlateau scheduler.factor=1", "factor"),
        ("CosineAnnealingWarmRestarts scheduler.T_0=0", "T_0"),
    ],
)
def test_values_of_a_schedule_that_torch_refuses_are_refused_by_validate(typed, key):
    name, _, setting = typed.partition(" ")
    with pytest.raises(ConfigError) as caught:
        check(compose([f"scheduler._target_=torch.optim.lr_scheduler.{name}", setting]))
    (problem,) = caught.value.problems
    assert problem.key == f"scheduler.{key}"
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(ValueError):  # noqa: PT011
        getattr(torch.optim.lr_scheduler, name)(optimizer, **{key: float(setting.partition("=")[2])})

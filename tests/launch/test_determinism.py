"""`trainer.deterministic` sets all switches of torch."""

import pytest
import torch

from aigc.config import ConfigError, check, compose
from aigc.launch import components
from aigc.launch.hardware import describe_determinism
from aigc.launch.trainer import build_trainer


@pytest.fixture(autouse=True)
def switches():
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    yield
    torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def undetermined():
    """An operation without a deterministic implementation on any device."""
    torch.nn.functional.interpolate(torch.ones(1, 1, 2, 2, requires_grad=True), scale_factor=2, mode="bicubic")
    return torch.ones(3).put_(torch.tensor([0]), torch.ones(1), accumulate=False)


@pytest.mark.parametrize(("value", "mode"), [("true", "on"), ("warn", "warn"), ("false", "off")])
def test_one_key_sets_all_switches(value, mode, own_place, recwarn):
    cfg = compose([f"trainer.deterministic={value}", "trainer.accelerator=cpu"])
    check(cfg)
    components.prepare_machine(cfg)
    build_trainer(cfg, own_place, [], [])
    assert describe_determinism()["deterministic_algorithms"] == mode
    if mode == "on":
        with pytest.raises(RuntimeError, match="does not have a deterministic implementation"):
            undetermined()
        return
    undetermined()
    assert any("deterministic" in str(warning.message) for warning in recwarn) == (mode == "warn")


def test_anything_else_is_refused(own_place):
    with pytest.raises(ConfigError, match=r"trainer.deterministic .*'sometimes'"):
        check(compose(["trainer.deterministic=sometimes"]))


def test_its_help_states_the_cost(aigc):
    done = aigc("train", "--help")
    assert "trainer.deterministic" in done.stdout
    assert "tens of percent of their speed" in done.stdout

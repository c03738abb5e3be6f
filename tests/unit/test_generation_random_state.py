"""Random generators are as they were after generation, on whatever device the networks draw."""

import pytest
import torch

from aigc.generation.random_state import fixed_random_state


class Device:
    """A device with a generator, as `torch.mps` (one device) and `torch.xpu` (several) have it."""

    def __init__(self, alone):
        self.state, self.alone = torch.tensor([7]), alone

    def get_rng_state(self, *where):
        assert bool(where) != self.alone
        return self.state.clone()

    def set_rng_state(self, state, *where):
        assert bool(where) != self.alone
        self.state = state


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_the_generator_of_the_device_is_put_back(kind, monkeypatch):
    device = Device(alone=kind == "mps")
    monkeypatch.setattr(torch, "get_device_module", lambda one: device if one.type == kind else pytest.fail(str(one)))
    monkeypatch.setattr(torch, "manual_seed", lambda seed: device.set_rng_state(torch.tensor([seed]), *used(device)))
    with fixed_random_state(torch.device(kind), seed=3):
        assert device.state.tolist() == [3]
    assert device.state.tolist() == [7]
    with pytest.raises(ZeroDivisionError), fixed_random_state(torch.device(kind), seed=3):
        raise ZeroDivisionError
    assert device.state.tolist() == [7]


def used(device):
    return () if device.alone else (0,)


def test_draws_on_a_cpu_repeat_and_disturb_nothing():
    before, drawn = torch.get_rng_state(), []
    for seed in (1, 1, 2):
        with fixed_random_state(torch.device("cpu"), seed):
            drawn.append(torch.rand(2).tolist())
        assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0] == drawn[1] != drawn[2]

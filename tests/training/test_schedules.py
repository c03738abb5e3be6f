"""What changes while a run goes on: learning rates, betas, and the strength of penalties."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from aigc.errors import InputError
from aigc.optim.schedules import WarmupCosine
from tests.training.gans import batches, fit, regularisers, small_gan


def test_warmup_then_cosine():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=2.0)
    schedule = WarmupCosine(optimizer, total_steps=110, warmup_steps=10, final_ratio=0.1)
    rates = []
    for _ in range(111):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(2.0)
    assert rates[60] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))
    assert rates[110] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def rates_of(**warmup):
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=2.0)
    schedule, rates = WarmupCosine(optimizer, total_steps=100, **warmup), []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_warmup_as_a_share_of_all_steps():
    assert rates_of(warmup_ratio=0.07) == rates_of(warmup_steps=7) != rates_of()
    assert rates_of(warmup_ratio=0.0) == rates_of(warmup_steps=None) == rates_of(warmup_steps=0)


def test_two_lengths_of_the_warmup():
    with pytest.raises(InputError, match=r"scheduler\.warmup_ratio=0\.1 and scheduler\.warmup_steps=0"):
        rates_of(warmup_ratio=0.1, warmup_steps=0)


def test_beta2_moves_with_the_cosine_and_comes_back_with_the_state():
    def made():
        optimizer = torch.optim.Adam(nn.Linear(1, 1).parameters(), lr=2.0, betas=(0.1, 0.9))
        return optimizer, WarmupCosine(optimizer, total_steps=30, warmup_steps=10, final_beta2=0.99)

    def steps(optimizer, schedule, number):
        found = []
        for _ in range(number):
            found.append(optimizer.param_groups[0]["betas"])
            optimizer.step()
            schedule.step()
        return found

    optimizer, schedule = made()
    betas = steps(optimizer, schedule, 15)
    states = optimizer.state_dict(), schedule.state_dict()
    betas += steps(optimizer, schedule, 20)
    assert {beta1 for beta1, _ in betas} == {0.1}
    assert {beta2 for _, beta2 in betas[:11]} == {0.9}
    assert betas[20][1] == pytest.approx(0.945)
    assert {beta2 for _, beta2 in betas[30:]} == {0.99}
    optimizer, schedule = made()
    optimizer.load_state_dict(states[0])
    schedule.load_state_dict(states[1])
    assert steps(optimizer, schedule, 20) == betas[15:]


def test_betas_of_an_optimiser_without_them():
    with pytest.raises(InputError, match=r"scheduler\.final_beta2: SGD has no betas; set it to null"):
        WarmupCosine(torch.optim.SGD(nn.Linear(1, 1).parameters()), total_steps=30, final_beta2=0.99)


def test_gamma_moves_on_half_a_cosine(tmp_path):
    """The plain penalty is multiplied by gamma / 2: with a rate of 0 the losses differ by nothing else."""
    ramps = regularisers(
        R1={"gamma": 2.0, "final_gamma": 0.5}, R2={"gamma": 1.0, "every_n_steps": 2, "final_gamma": 3.0}
    )
    task, weights = small_gan(regularisers=ramps, optimizer=torch.optim.SGD), []
    objectives = [task._phases.discriminator, *task._phases.lazy.values()]
    for objective in objectives:
        evaluated = objective._evaluated
        objective._evaluated = lambda *given, evaluated=evaluated: weights.append(given[-1]) or evaluated(*given)
    fit(task, tmp_path, batches(4))
    assert [float(given["r1"]) for given in weights if "r1" in given] == pytest.approx(
        [1.0, 1 - 0.75 * 0.5 * (1 - 0.5**0.5), 0.625, 1 - 0.75 * 0.5 * (1 + 0.5**0.5)]
    )
    assert [float(given["r2"]) for given in weights if "r2" in given] == pytest.approx([2 * 0.5, 2 * 1.0])


@pytest.mark.slow
def test_a_gamma_that_moves_is_compiled_once(tmp_path):
    torch._dynamo.reset()
    counters.clear()
    ramp = regularisers(R1={"gamma": 2.0, "final_gamma": 0.5})
    fit(small_gan(regularisers=ramp, compile=True, compile_backend="aot_eager"), tmp_path, batches(4))
    assert counters["stats"]["unique_graphs"] == 2

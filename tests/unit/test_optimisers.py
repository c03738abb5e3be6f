"""Optimisers of our own: their updates, and their state."""

import copy
import pickle

import pytest
import torch
from torch import nn

from aigc.config import ConfigError
from aigc.errors import InputError
from aigc.optim import AdamW8Bit, AdamWBF16, Lion, Muon
from aigc.optim.adamw_bf16 import rounded_at_random
from aigc.optim.embeddings import is_embedding, mark_embeddings


def test_lion_by_hand():
    """Chen et al., 2023, algorithm 2, with two steps worked out."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    optimizer = Lion([weight], lr=0.1, betas=(0.5, 0.25), weight_decay=0.5)
    weight.grad = torch.tensor([2.0, -4.0, 0.0])
    optimizer.step()
    # The momentum is 0: directions are the signs of half the gradient; the decay is 0.1 * 0.5.
    assert torch.allclose(weight, torch.tensor([0.95 - 0.1, -1.9 + 0.1, 0.475]))
    assert torch.allclose(optimizer.state[weight]["momentum"], torch.tensor([1.5, -3.0, 0.0]))
    weight.grad = torch.tensor([-1.0, 4.0, 1.0])
    optimizer.step()
    # Directions are the signs of 0.5 * 1.5 - 0.5, -1.5 + 2 and 0.5.
    expected = [0.85 * 0.95 - 0.1, -1.8 * 0.95 - 0.1, 0.475 * 0.95 - 0.1]
    assert torch.allclose(weight, torch.tensor(expected))
    assert torch.allclose(optimizer.state[weight]["momentum"], torch.tensor([0.375 - 0.75, -0.75 + 3, 0.75]))


class Network(nn.Module):
    """One of each kind of parameter."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 4)
        self.conv = nn.Conv1d(4, 4, 3, padding=1)
        self.hidden = nn.Linear(4, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 7, bias=False)
        mark_embeddings(self, [self.head.weight])

    def forward(self, ids):
        mixed = self.conv(self.embedding(ids).transpose(1, 2)).transpose(1, 2)
        return self.head(self.norm(self.hidden(mixed)))


def stepped(network, optimizer, steps=3):
    for step in range(steps):
        optimizer.zero_grad()
        ids = (torch.arange(10).view(2, 5) + step) % 7
        nn.functional.cross_entropy(network(ids).flatten(0, 1), ids.flatten()).backward()
        optimizer.step()
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def test_muon_steps_hidden_matrices_and_adamw_the_rest():
    network, others = Network(), Network()
    optimizer = Muon(network.parameters(), lr=1e-2)
    found = stepped(network, optimizer)
    matrices = torch.optim.Muon([others.hidden.weight], lr=1e-2, adjust_lr_fn="match_rms_adamw")
    rest = [weight for name, weight in others.named_parameters() if name != "hidden.weight"]
    adamw = torch.optim.AdamW(rest, lr=1e-2, weight_decay=0.1, betas=(0.9, 0.95))

    class Both:
        def zero_grad(self):
            others.zero_grad()

        def step(self):
            matrices.step()
            adamw.step()

    expected = stepped(others, Both())
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 7]


@pytest.mark.parametrize("kind", [Muon, Lion, AdamWBF16])
def test_state_comes_back_and_schedules_reach_every_group(kind):
    network = Network()
    optimizer = kind(network.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    stepped(network, optimizer, 2)
    schedule.step()
    saved = copy.deepcopy((network.state_dict(), optimizer.state_dict(), schedule.state_dict()))
    assert {group["lr"] for group in optimizer.param_groups} == {5e-3}
    expected = stepped(network, optimizer)
    fresh = Network()
    again = kind(fresh.parameters(), lr=1.0)
    scheduled = torch.optim.lr_scheduler.StepLR(again, 1, 0.5)
    fresh.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    scheduled.load_state_dict(saved[2])
    found = stepped(fresh, again)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    slow = {name: before for name, before in saved[0].items() if torch.equal(before, found[name])}
    assert not slow


def test_groups_of_muon_keep_their_settings_and_may_be_added():
    network = Network()
    groups = [{"name": "first", "params": list(network.hidden.parameters()), "lr": 0.5}]
    optimizer = Muon(groups, lr=1e-2)
    optimizer.add_param_group({"name": "second", "params": [network.conv.weight], "weight_decay": 0.0})
    told = [(group["name"], group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    assert told == [("first", 0.5, 0.1), ("first_adamw", 0.5, 0.1), ("second", 1e-2, 0.0)]
    before = network.conv.weight.detach().clone()
    stepped(network, optimizer, 1)
    assert not torch.equal(before, network.conv.weight)


def test_marking_embeddings_does_not_change_them():
    """Reading the weight of a layer with spectral normalisation would."""
    layer = nn.utils.parametrizations.spectral_norm(nn.Embedding(5, 3))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    mark_embeddings(nn.Sequential(layer))
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())
    assert [is_embedding(parameter) for parameter in layer.parameters()] == [True]


def test_a_network_without_a_matrix():
    layer = nn.Conv2d(1, 1, 2)
    optimizer = Muon(layer.parameters())
    layer(torch.ones(1, 1, 3, 3)).sum().backward()
    before = layer.bias.detach().clone()
    optimizer.step()
    assert not torch.equal(before, layer.bias)


def test_beta2_of_a_schedule_needs_betas():
    from aigc.optim import WarmupCosine

    with pytest.raises(InputError, match="Muon has no betas"):
        WarmupCosine(Muon(Network().parameters()), total_steps=3, final_beta2=0.99)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda both: pickle.loads(pickle.dumps(both))])
def test_a_copy_of_muon_steps_as_the_original_does(copied):
    network = Network()
    optimizer = Muon(network.parameters(), lr=1e-2)
    stepped(network, optimizer, steps=2)
    other, of_other = copied((network, optimizer))
    first, second = stepped(network, optimizer), stepped(other, of_other)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert of_other.param_groups[0]["lr"] == 1e-2
    of_other.param_groups[0]["lr"] = of_other.param_groups[1]["lr"] = 0.0
    third = stepped(other, of_other, steps=1)
    assert all(torch.equal(third[name], second[name]) for name in second), "groups are shared in the copy, too"


def test_rounding_at_random_is_right_on_average_and_keeps_what_is_exact():
    generator = torch.Generator().manual_seed(0)
    between = torch.full((100_000,), 1 + 2**-7 * 0.25) * torch.tensor([[1.0], [-1.0]])
    rounded = rounded_at_random(between, generator).float()
    assert rounded[0].unique().tolist() == [1.0, 1 + 2**-7]
    torch.testing.assert_close(rounded.mean(1), between.mean(1), rtol=5e-5, atol=0)
    exact = torch.tensor([0.0, -1.5, 2.0**-126, float("inf"), -float("inf")])
    assert torch.equal(rounded_at_random(exact, generator).float(), exact)
    odd = torch.tensor([0x7FFFFFFF, 0x7F800000], dtype=torch.int32).view(torch.float32)  # a NaN, and infinity
    assert rounded_at_random(odd, generator).isnan().tolist() == [True, False]
    assert rounded_at_random(odd, generator)[1] == torch.inf
    assert rounded_at_random(torch.tensor([float("nan")]), generator).isnan().all()


@pytest.mark.parametrize("state_dtype", ["float32", "bfloat16"])
def test_weights_in_bfloat16_move_as_those_in_float32_do(state_dtype):
    """Steps of 1e-4 on weights of about 1, whose last digit is 8e-3."""
    settings = {"lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 0.1}
    torch.manual_seed(0)
    start, gradients = torch.rand(20_000) + 0.5, torch.randn(200) * 0.1 + 1

    def moved(kind, dtype, **further):
        weight = nn.Parameter(start.to(dtype))
        before, optimizer = weight.detach().float().clone(), kind([weight], **settings, **further)
        for gradient in gradients:
            weight.grad = torch.full_like(weight, gradient)
            optimizer.step()
        return float((weight.detach().float() - before).mean())

    expected = moved(torch.optim.AdamW, torch.float32)
    assert expected < -0.015
    assert moved(AdamWBF16, torch.bfloat16, state_dtype=state_dtype) == pytest.approx(expected, rel=0.03)
    assert moved(torch.optim.AdamW, torch.bfloat16) > expected / 3, "rounding to the nearest would do as well"


def test_other_weights_are_stepped_as_torch_does():
    network, others = Network(), Network()
    settings = {"lr": 1e-2, "betas": (0.9, 0.95), "weight_decay": 0.1}
    found = stepped(network, AdamWBF16(network.parameters(), **settings))
    expected = stepped(others, torch.optim.AdamW(others.parameters(), **settings))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("state_dtype", ["float32", "bfloat16"])
def test_weights_in_bfloat16_resume_to_the_bit_and_depend_on_the_seed(state_dtype):
    def begun(seed=0):
        network = Network().bfloat16()
        return network, AdamWBF16(network.parameters(), lr=1e-3, seed=seed, state_dtype=state_dtype)

    network, optimizer = begun()
    stepped(network, optimizer, 2)
    saved = copy.deepcopy((network.state_dict(), optimizer.state_dict()))
    expected = stepped(network, optimizer)
    resumed, again = begun()
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    found = stepped(resumed, again)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert {moment.dtype for moment in (again.state[resumed.hidden.weight]["exp_avg"],)} == {
        getattr(torch, state_dtype)
    }
    other, seeded = begun(seed=1)
    stepped(other, seeded, 2)
    assert any(not torch.equal(weight, saved[0][name]) for name, weight in other.state_dict().items())


def test_eight_bits_need_their_package_or_keep_their_state():
    try:
        import bitsandbytes.optim as library
    except ImportError:
        with pytest.raises(ConfigError, match=r"quantised"):
            AdamW8Bit(Network().parameters())
        return
    weight = nn.Parameter(torch.randn(128, 64))
    optimizer = AdamW8Bit([weight], lr=1e-2)
    assert type(optimizer) is library.AdamW8bit
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert optimizer.state[weight]["state1"].dtype == torch.uint8
    again = AdamW8Bit([nn.Parameter(weight.detach().clone())], lr=1e-2)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    other = again.param_groups[0]["params"][0]
    other.grad = torch.ones_like(other)
    optimizer.step()
    again.step()
    assert torch.equal(weight, other)

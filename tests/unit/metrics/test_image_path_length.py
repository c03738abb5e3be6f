"""Perceptual path length in closed form, and the ways between latents."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.generative_model_modulewrapper import GenerativeModelModuleWrapper
from torch_fidelity.metric_ppl import calculate_ppl
from torch_fidelity.noise import batch_lerp, batch_slerp_any
from torch_fidelity.registry import SAMPLE_SIMILARITY_REGISTRY
from torch_fidelity.sample_similarity_base import SampleSimilarityBase

from aigc.errors import InputError
from aigc.metrics.image.path_length import interpolate, perceptual_path_length


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def squared(a, b):
    return (a - b).square().flatten(1).sum(dim=1)


MATRIX = normal(5, 12, seed=9)


def linear(latents):
    """Images of 3 x 2 x 2, on whose way the squared distance of a step is epsilon² times that of the ends."""
    return (latents @ MATRIX).view(-1, 3, 2, 2)


def closed_form(starts, ends):
    return squared(linear(starts), linear(ends)).numpy()


@pytest.mark.parametrize("epsilon", [1e-4, 1e-2, 1.0])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_a_linear_generator(epsilon, batch_size):
    starts, ends = normal(200, 5, seed=1), normal(200, 5, seed=2)
    exact = closed_form(starts, ends)
    every = perceptual_path_length(linear, squared, starts, ends, None, epsilon, "lerp", batch_size, lower=0, upper=100)
    assert every == pytest.approx((exact.mean(), exact.std()), rel=1e-9)
    low, high = np.percentile(exact, 1, method="lower"), np.percentile(exact, 99, method="higher")
    kept = exact[(low <= exact) & (exact <= high)]
    assert len(kept) == 198  # both bounds are kept, one image beyond each is not
    found = perceptual_path_length(linear, squared, starts, ends, epsilon=epsilon, batch_size=batch_size)
    assert found == pytest.approx((kept.mean(), kept.std()), rel=1e-9)


def test_percentiles_by_hand():
    """Squared lengths 0, 1, 4 ... 100: the lower percentile takes the one below, the upper the one above."""
    starts, ends = torch.zeros(11, 1, dtype=torch.float64), torch.arange(11, dtype=torch.float64)[:, None]
    mean, deviation = perceptual_path_length(lambda latents: latents, squared, starts, ends, lower=15, upper=85)
    kept = np.arange(1, 10) ** 2
    assert (mean, deviation) == pytest.approx((kept.mean(), kept.std()))


def test_a_generator_on_the_sphere_moves_by_the_angle():
    starts, ends = (torch.nn.functional.normalize(normal(50, 8, seed=seed), dim=1) for seed in (1, 2))
    angles = torch.acos((starts * ends).sum(dim=1)).square().numpy()
    options = {"interpolation": "slerp", "lower": 0, "upper": 100}
    mean, deviation = perceptual_path_length(lambda latents: latents, squared, starts, ends, **options)
    assert (mean, deviation) == pytest.approx((angles.mean(), angles.std()), rel=1e-6)
    straight = perceptual_path_length(lambda latents: latents, squared, starts, ends, lower=0, upper=100)
    assert straight[0] != pytest.approx(mean, rel=1e-2)


class Linear(torch.nn.Module):
    def forward(self, latents):
        return linear(latents.double())


class Squared(SampleSimilarityBase):
    def __init__(self, name, **_):
        super().__init__(name)

    def forward(self, a, b):
        return squared(a, b)


@pytest.mark.parametrize("ours", ["lerp", "slerp"])
def test_it_is_torch_fidelitys(ours, monkeypatch):
    usual = np.percentile  # its own call of it fails with NumPy 2.4
    renamed = lambda values, share, interpolation: usual(values, share, method=interpolation)  # noqa: E731
    monkeypatch.setattr("torch_fidelity.metric_ppl.np.percentile", renamed)
    monkeypatch.setitem(SAMPLE_SIMILARITY_REGISTRY, "squared", Squared)
    options = {"ppl_sample_similarity": "squared", "ppl_z_interp_mode": {"slerp": "slerp_any"}.get(ours, ours)}
    model = GenerativeModelModuleWrapper(Linear(), 5, "normal", 0)
    theirs = calculate_ppl(1, input1=model, input1_model_num_samples=300, cuda=False, verbose=False, **options)
    monkeypatch.undo()
    random = np.random.RandomState(2020)
    starts, ends = (torch.from_numpy(random.randn(300, 5)).float() for _ in range(2))
    mean, deviation = perceptual_path_length(Linear(), squared, starts, ends, interpolation=ours)
    assert mean == pytest.approx(theirs["perceptual_path_length_mean"], rel=1e-3)
    assert deviation == pytest.approx(theirs["perceptual_path_length_std"], rel=1e-3)


def test_labels_go_with_their_latents():
    starts, ends = normal(20, 5, seed=1), normal(20, 5, seed=2)
    labels = torch.arange(20)

    def generate(latents, given):
        first, second = given.chunk(2)
        assert torch.equal(first, second)
        return given[:, None] * latents

    found = perceptual_path_length(generate, squared, starts, ends, labels, batch_size=6, lower=0, upper=100)
    exact = labels.square() * squared(starts, ends)
    assert found[0] == pytest.approx(float(exact.mean()))


def test_whole_images_are_refused_as_they_would_explode():
    starts, ends = normal(300, 5, seed=1), normal(300, 5, seed=2)

    def whole(latents):
        return (linear(latents) * 20 + 128).clamp(0, 255).to(torch.uint8)

    def rounded(latents):
        return (whole(latents).double() - 128) / 20

    exact = perceptual_path_length(linear, squared, starts, ends)[0]
    assert perceptual_path_length(rounded, squared, starts, ends)[0] > 5 * exact
    with pytest.raises(TypeError, match=r"images must be floating numbers, got torch\.uint8"):
        perceptual_path_length(whole, squared, starts, ends)


def test_no_gradient_is_kept():
    weight = torch.nn.Parameter(torch.eye(5))
    seen = []

    def generate(latents):
        images = latents @ weight
        seen.append(images.requires_grad)
        return images

    perceptual_path_length(generate, squared, normal(4, 5, dtype=torch.float32), normal(4, 5, dtype=torch.float32))
    assert seen == [False]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": 1.5}, "epsilon is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"lower": 99, "upper": 1}, "percentiles are 99 and 1"),
        ({"lower": -1}, "percentiles are -1 and 99"),
        ({"interpolation": "slep"}, "interpolation is 'slep'. Did you mean slerp"),
    ],
)
def test_options_out_of_range_are_said(options, said):
    with pytest.raises(InputError, match=said):
        perceptual_path_length(linear, squared, normal(4, 5), normal(4, 5, seed=1), **options)


def test_broken_parts_are_named():
    starts, ends = normal(9, 5), normal(9, 5, seed=1)
    with pytest.raises(ValueError, match=r"of shape \(4,\), got \(\)"):
        perceptual_path_length(linear, lambda a, b: squared(a, b).mean(), starts, ends, batch_size=4)
    starts[6] = math.nan
    with pytest.raises(InputError, match="the distance of step 6 is not finite"):
        perceptual_path_length(linear, squared, starts, ends, batch_size=4)
    with pytest.raises(ValueError, match=r"one shape, got \(9, 5\) and \(8, 5\)"):
        perceptual_path_length(linear, squared, starts, ends[:8])
    with pytest.raises(ValueError, match="9 latents and 8 labels"):
        perceptual_path_length(linear, squared, starts, ends, torch.zeros(8))
    with pytest.raises(ValueError, match="0 latents"):
        perceptual_path_length(linear, squared, starts[:0], ends[:0])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1), st.integers(2, 16))
def test_ways_are_torch_fidelitys(seed, t, size):
    start, end = normal(6, size, seed=seed), normal(6, size, seed=seed + 1)
    assert torch.allclose(interpolate(start, end, t), batch_lerp(start, end, t), rtol=1e-12)
    assert torch.allclose(interpolate(start, end, t, "slerp"), batch_slerp_any(start, end, t), rtol=1e-6, atol=1e-9)
    for how in ("lerp", "slerp"):
        assert torch.allclose(interpolate(start, end, 0.0, how), start, atol=1e-12)
        assert torch.allclose(interpolate(start, end, 1.0, how), end, atol=1e-12)
        assert torch.allclose(interpolate(end, start, 1 - t, how), interpolate(start, end, t, how), atol=1e-9)


def test_an_arc_keeps_the_length_and_goes_on_evenly():
    start, end = (torch.nn.functional.normalize(normal(6, 4, seed=seed), dim=1) for seed in (1, 2))
    steps = torch.linspace(0, 1, 5, dtype=torch.float64)
    way = interpolate(start.expand(5, 6, 4), end.expand(5, 6, 4), steps[:, None, None], "slerp")
    assert torch.allclose(way.norm(dim=-1), torch.ones(5, 6, dtype=torch.float64))
    cosines = (way[1:] * way[:-1]).sum(dim=-1)
    assert torch.allclose(cosines, cosines[:1].expand(4, 6))
    straight = interpolate(start, end, 0.5).norm(dim=-1)
    assert (straight < 0.95).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_vectors_without_one_arc_go_straight(dtype):
    start = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [0.0, 0.0], [0.0, 0.0]], dtype=dtype)
    end = torch.tensor([[1.0, 2.0], [3.0, 6.0], [-1.0, -2.0], [1.0, 2.0], [0.0, 0.0]], dtype=dtype)
    found = interpolate(start, end, 0.25, "slerp")
    assert found.dtype == dtype
    assert torch.allclose(found, interpolate(start, end, 0.25), rtol=1e-3)
    mixed = interpolate(
        torch.cat([start, start.new_tensor([[1, 0]])]), torch.cat([end, end.new_tensor([[0, 1]])]), 0.5, "slerp"
    )
    assert torch.allclose(mixed[-1], start.new_tensor([0.5**0.5, 0.5**0.5]))  # each vector by itself

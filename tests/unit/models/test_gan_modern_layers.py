"""StyleGAN2's layers against their definitions."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from aigc.models.images.gan.equalised import EqualisedConv, EqualisedLinear, ModulatedConv, activated
from aigc.models.images.gan.resampling import Resample, downsampler
from aigc.models.images.gan.stylegan2_parts import DownBlock, Mapping, MinibatchDeviation, StyledConv


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def modulated_by_definition(layer, maps, style):
    """Each sample is convolved with weights of its own, all in one convolution in groups."""
    count, inputs, size, _ = maps.shape
    modulation = layer.affine(style)
    weights = modulation[:, None, :, None, None] * layer.weight / math.sqrt(layer.weight[0].numel())
    if layer.demodulate:
        weights = weights / (weights.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    together = maps.reshape(1, count * inputs, size, size)
    if layer.filter is None:
        found = F.conv2d(together, weights.flatten(0, 1), padding=weights.shape[-1] // 2, groups=count)
    else:  # zeros between pixels, the convolution turned around, then the filter with all its reach
        spread = together.new_zeros(1, count * inputs, 2 * size, 2 * size)
        spread[..., ::2, ::2] = together
        convolved = F.conv2d(F.pad(spread, (2, 1, 2, 1)), weights.flatten(0, 1).flip(2, 3), groups=count)
        kernel = maps.new_tensor([1, 3, 3, 1]) / 4
        kernel = torch.outer(kernel, kernel).expand(convolved.shape[1], 1, 4, 4)
        found = F.conv2d(convolved, kernel, padding=1, groups=convolved.shape[1])
    return found.view(count, -1, *found.shape[2:]) + layer.bias[:, None, None]


@pytest.mark.parametrize(
    ("kernel", "settings"), [(3, {}), (3, {"up": True}), (1, {"demodulate": False})], ids=["plain", "up", "image"]
)
def test_scaled_maps_are_the_modulated_weights_of_each_sample(kernel, settings):
    layer = ModulatedConv(4, 3, 5, kernel, 6, **settings).double()
    torch.nn.init.normal_(layer.bias)
    maps = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    style = torch.randn(2, 6, dtype=torch.float64, requires_grad=True)
    inputs = [maps, style, *layer.parameters()]
    found, expected = layer(maps, style), modulated_by_definition(layer, maps, style)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-7)
    direction = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad((one * direction).sum(), inputs) for one in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


def test_a_style_of_zeros_modulates_nothing():
    layer = ModulatedConv(4, 3, 5, 1, 6, demodulate=False)
    maps = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(layer(maps, torch.zeros(2, 6)), F.conv2d(maps, layer.weight / math.sqrt(3)))


def test_demodulated_maps_have_variance_one_whatever_the_style():
    layer = ModulatedConv(16, 32, 32, 3, 4)
    found = layer(torch.randn(8, 32, 16, 16), 5 * torch.randn(8, 4))[..., 1:-1, 1:-1]
    assert found.var().item() == pytest.approx(1, abs=0.1)


def test_equalised_layers_have_weights_of_size_one_and_keep_the_variance():
    linear, conv = EqualisedLinear(400, 100, rate=0.01), EqualisedConv(8, 50, 60, 3)
    assert linear.weight.std().item() == pytest.approx(100, rel=0.1)  # so that a step moves its product by a hundredth
    assert conv.weight.std().item() == pytest.approx(1, rel=0.1)
    assert linear(torch.randn(50, 400)).var().item() == pytest.approx(1, rel=0.15)
    assert conv(torch.randn(8, 50, 8, 8))[..., 1:-1, 1:-1].var().item() == pytest.approx(1, rel=0.15)
    assert activated(torch.randn(10000)).square().mean().item() == pytest.approx(1, abs=0.1)
    biased = EqualisedLinear(3, 2, bias=1.0, rate=0.01)
    torch.testing.assert_close(biased(torch.zeros(1, 3)), torch.ones(1, 2))


def test_a_convolution_that_halves_the_size_is_filter_then_convolution_then_every_second_pixel():
    layer = EqualisedConv(8, 3, 5, 3, down=True)
    maps = torch.randn(2, 3, 8, 8)
    blurred = Resample(8, padding=(2, 2))(maps)
    expected = F.conv2d(blurred, layer.weight * layer.scale, layer.bias)[..., ::2, ::2]
    assert layer(maps).shape == (2, 5, 4, 4)
    torch.testing.assert_close(layer(maps), expected)
    narrow = EqualisedConv(8, 3, 5, 1, down=True, bias=False)
    torch.testing.assert_close(narrow(maps), F.conv2d(downsampler(8)(maps), narrow.weight * narrow.scale))


def test_a_residual_block_is_the_plain_one_and_its_skip_at_half_the_variance_each():
    block = DownBlock(8, 3, 5, residual=True)
    plain = DownBlock(8, 3, 5, residual=False)
    plain.load_state_dict({name: value for name, value in block.state_dict().items() if "skip" not in name})
    maps = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(block(maps), (plain(maps) + block.skip(maps)) * math.sqrt(0.5))


@pytest.mark.parametrize(("count", "asked", "group"), [(8, 4, 4), (6, 4, 3), (5, 4, 1), (2, 32, 2)])
def test_minibatch_deviation_is_the_mean_deviation_of_each_group(count, asked, group):
    maps = torch.randn(count, 3, 2, 2)
    found = MinibatchDeviation(asked)(maps)
    assert torch.equal(found[:, :3], maps)
    groups = count // group
    for sample in range(count):
        together = torch.stack([maps[other] for other in range(count) if other % groups == sample % groups])
        assert len(together) == group
        expected = (together.var(0, correction=0) + 1e-8).sqrt().mean()
        torch.testing.assert_close(found[sample, 3], expected.expand(2, 2))


def test_mapping_does_not_see_the_length_of_latents():
    mapping = Mapping(5, 0, 4, layers=2)
    latents = torch.randn(3, 5)
    torch.testing.assert_close(mapping(latents, None), mapping(7 * latents, None))
    assert (mapping(latents, None) - mapping(latents.flip(1), None)).abs().max() > 1e-3


def test_noise_is_drawn_in_training_alone_and_is_one_map_for_all_features():
    layer = StyledConv(4, 3, 2, 5, "random")
    maps, style = torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    torch.testing.assert_close(layer(maps, style), layer.eval()(maps, style))  # noise starts without strength
    torch.nn.init.constant_(layer.strength, 100.0)
    state = torch.get_rng_state()
    assert torch.equal(layer(maps, style), layer(maps, style))
    assert torch.equal(torch.get_rng_state(), state)
    layer.train()
    first, second = layer(maps, style), layer(maps, style)
    assert (first - second).abs().max() > 1
    signs = first.sign()
    assert (signs[:, 0] == signs[:, 1]).float().mean() > 0.9
    assert (signs[0] == signs[1]).float().mean() < 0.9
    constant = StyledConv(4, 3, 2, 5, "constant")
    torch.nn.init.constant_(constant.strength, 100.0)
    assert torch.equal(constant(maps, style), constant.eval()(maps, style))
    assert not hasattr(StyledConv(4, 3, 2, 5, "none"), "strength")

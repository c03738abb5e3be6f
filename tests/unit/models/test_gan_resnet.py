"""Residual networks: the blocks, attention, pooling, sizes."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from aigc.errors import InputError
from aigc.models.images.gan.attention import SelfAttention
from aigc.models.images.gan.parts import upsampled
from aigc.models.images.gan.resnet import DownBlock, ResNetDiscriminator, ResNetGenerator, UpBlock


@pytest.fixture(autouse=True)
def _same_numbers():
    torch.manual_seed(0)


def test_blocks_are_those_of_the_paper():
    """Where the paper repeats or averages pixels, it does so outside of the convolutions."""

    def convolved(layer, maps):
        return F.conv2d(maps, layer.weight, layer.bias, padding=layer.padding)

    maps = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    up = UpBlock(3, 5, 0, False, False).double()
    inner = convolved(up.first, upsampled(F.relu(up.first_norm(maps))))
    inner = convolved(up.second, F.relu(up.second_norm(inner)))
    torch.testing.assert_close(up(maps, None), inner + convolved(up.shortcut, upsampled(maps)))
    for first, layer_norm in ((True, False), (False, False), (False, True)):

        def active(seen, layer_norm=layer_norm):
            return F.relu(F.layer_norm(seen, seen.shape[1:]) if layer_norm else seen)

        kind = {"first": first, "layer_norm": layer_norm, "spectral_norm": False, "attention": False}
        down = DownBlock(3, 5, down=True, **kind).double()
        inner = convolved(down.second, active(convolved(down.first, maps if first else active(maps))))
        expected = F.avg_pool2d(inner, 2) + F.avg_pool2d(convolved(down.shortcut[1], maps), 2)
        torch.testing.assert_close(down(maps), expected)


@pytest.mark.parametrize("kind", ["G", "D"])
@pytest.mark.parametrize("resolution", [32, 64])
def test_maps_of_the_size_that_was_asked_for_attend_to_themselves(kind, resolution):
    network = (ResNetGenerator if kind == "G" else ResNetDiscriminator)(resolution, 1, width=4, attention_at=8)
    seen = []
    for part in network.modules():
        if isinstance(part, SelfAttention):
            part.register_forward_hook(lambda _, maps, out: seen.append(tuple(out.shape[2:])))
    network(network.latents(2) if kind == "G" else torch.randn(2, 1, resolution, resolution))
    assert seen == [(8, 8)]


def test_features_are_summed_or_averaged_over_the_pixels():
    added, averaged = (ResNetDiscriminator(32, 1, width=4, pooling=one).eval() for one in ("sum", "mean"))
    averaged.load_state_dict(added.state_dict())
    images = torch.randn(4, 1, 32, 32)
    torch.testing.assert_close(added(images).logits, 64 * averaged(images).logits)  # biases are 0 at the start


@pytest.mark.parametrize(("network", "sizes"), [(ResNetGenerator, "8, 16, 32"), (ResNetDiscriminator, "8, 16")])
def test_attention_where_no_maps_are_is_refused_with_where_they_are(network, sizes):
    with pytest.raises(InputError, match=rf"attention_at=12.* maps are {sizes} pixels"):
        network(32, 3, attention_at=12)


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_sngan_is_as_large_as_its_table():
    """Sums over the layers of table 3 of Miyato et al. (2018), which gives no sums: 256 maps, 4 x 4, and 128 maps."""

    def conv(inputs, outputs, side):
        return inputs * outputs * side**2 + outputs

    up = conv(256, 256, 3) * 2 + conv(256, 256, 1) + 2 * 512
    assert size(ResNetGenerator(32, 3)) == 128 * 4096 + 4096 + 3 * up + 512 + conv(256, 3, 3) == 4_276_739
    blocks = [conv(i, o, 3) + conv(128, 128, 3) + conv(i, o, 1) for i, o in pairwise([3, 128, 128])]
    assert size(ResNetDiscriminator(32, 3)) == sum(blocks) + 4 * conv(128, 128, 3) + 128 + 1 == 1_053_825

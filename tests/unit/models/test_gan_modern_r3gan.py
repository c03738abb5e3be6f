"""R3GAN: what its networks are at the start, and what widths they take."""

import pytest
import torch

from aigc.errors import InputError
from aigc.models.images.gan import R3GANDiscriminator, R3GANGenerator
from aigc.models.images.gan.r3gan import ResidualBlock
from tests.unit.models.gan_modern_networks import without_initialisation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_a_block_is_the_identity_at_first_and_learns_by_its_last_layer():
    block = ResidualBlock(8, group_width=4, expansion=2, depth=3)
    maps = torch.randn(2, 8, 4, 4, requires_grad=True)
    found = block(maps)
    assert torch.equal(found, maps)
    found.square().sum().backward()
    assert block.narrow.weight.grad.abs().max() > 0
    torch.nn.init.normal_(block.narrow.weight)
    assert (block(maps) - maps).abs().max() > 0.1


def test_both_networks_are_linear_at_first():
    """Nothing but residual blocks is not linear, and these change nothing yet."""
    settings = {"widths": [16, 8, 8], "group_width": 4}
    discriminator = R3GANDiscriminator(16, 3, **settings)
    one, other = torch.randn(2, 2, 3, 16, 16)
    apart = discriminator(one).logits + 2 * discriminator(other).logits
    torch.testing.assert_close(discriminator(one + 2 * other).logits, apart)
    generator = R3GANGenerator(16, 3, latents=5, **settings)
    one, other = torch.randn(2, 2, 5)
    torch.testing.assert_close(generator(one + 2 * other), generator(one) + 2 * generator(other))


def test_weights_in_blocks_shrink_with_the_depth_of_the_network():
    for depth in (1, 16):
        block = ResidualBlock(64, group_width=32, expansion=2, depth=depth)
        gain = (2 / 1.04) ** 0.5 / depth**0.25
        assert block.widen.weight.std().item() == pytest.approx(gain / 64**0.5, rel=0.05)
        assert block.group.weight.std().item() == pytest.approx(gain / (32 * 9) ** 0.5, rel=0.05)
    generator = R3GANGenerator(16, 1, widths=[16, 16, 16], group_width=8, blocks=4)
    inner = torch.cat([each.widen.weight for each in generator.modules() if isinstance(each, ResidualBlock)])
    assert inner.std().item() == pytest.approx((2 / 1.04) ** 0.5 / 12**0.25 / 4, rel=0.05)


def test_the_papers_widths_are_those_of_a_null(monkeypatch):
    without_initialisation(monkeypatch)
    for resolution, widths in ((32, [768] * 4), (256, [768, 768, 768, 768, 384, 192, 96])):
        for network in (R3GANGenerator(resolution, 3, 10), R3GANDiscriminator(resolution, 3, 10)):
            blocks = [each for each in network.modules() if isinstance(each, ResidualBlock)]
            found = [each.narrow.out_channels for each in blocks]
            ordered = found if isinstance(network, R3GANGenerator) else found[::-1]
            assert ordered == [width for width in widths for _ in range(2)]
            assert {each.group.groups * 8 / each.narrow.out_channels for each in blocks} == {1}  # 96 of 768


@pytest.mark.parametrize(
    ("resolution", "settings", "message"),
    [
        (64, {"widths": [8, 8, 8]}, "R3GAN with 3 widths cannot work with images of 64 x 64 pixels; it can with 16"),
        (16, {"widths": [8, 12, 8], "group_width": 16}, "12 feature maps times an expansion of 2 .* groups of 16"),
        (16, {"widths": []}, "two numbers or more"),
        (16, {"widths": [8, 0, 8]}, "from 1 on"),
    ],
)
def test_widths_that_do_not_fit_are_refused(resolution, settings, message):
    for network in (R3GANGenerator, R3GANDiscriminator):
        with pytest.raises(InputError, match=message):
            network(resolution, 3, **{"group_width": 4, **settings})

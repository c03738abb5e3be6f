"""BigGAN and U-Nets: hierarchical latents, published sizes, outputs of pixels."""

import pytest
import torch
from torch import nn

from aigc.errors import InputError
from aigc.models.images.gan import BigGANDiscriminator, BigGANGenerator, UNetDiscriminator, UNetGenerator
from aigc.models.images.gan.attention import SelfAttention
from aigc.models.images.gan.biggan import DownBlock, UpBlock
from tests.unit.models.gan_modern_networks import parameters, without_initialisation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_biggan_has_as_many_parameters_as_published(monkeypatch):
    """The counts for ImageNet at 128 pixels are those in the tests of compare_gan, Google's own reimplementation."""
    without_initialisation(monkeypatch)
    generator = BigGANGenerator(128, 3, 1000, attention_at=64, spectral_norm=False)
    assert generator.latent_shape == (120,)
    assert parameters(generator) == 70_433_988
    assert parameters(BigGANDiscriminator(128, 3, 1000, attention_at=64, spectral_norm=False)) == 87_982_370


def test_each_block_is_conditioned_on_the_class_and_a_part_of_the_latents_of_its_own():
    generator = BigGANGenerator(32, 3, 4, chunk=3, embedding=5, width=1, attention_at=None, spectral_norm=False).eval()
    latents = generator.latents(1)

    def maps(latents, label):
        found = []
        hooks = [block.register_forward_hook(lambda *each: found.append(each[-1])) for block in generator.blocks]
        generator(latents, torch.tensor([label]))
        for hook in hooks:
            hook.remove()
        return found

    before = maps(latents, 0)
    for chunk in range(1, 4):
        changed = latents.clone()
        changed[:, 3 * chunk : 3 * chunk + 3] += 1
        moved = [not torch.equal(*pair) for pair in zip(before, maps(changed, 0), strict=True)]
        assert moved == [block >= chunk - 1 for block in range(3)]
    assert all(not torch.equal(*pair) for pair in zip(before, maps(latents, 1), strict=True))


def test_biggan_starts_from_orthogonal_weights_and_normalises_them_all():
    block = UpBlock(4, 8, None, spectral_norm=False)
    flat = block.second.weight.flatten(1)
    torch.testing.assert_close(flat @ flat.T, torch.eye(8), atol=1e-5, rtol=0)
    for network in (BigGANGenerator(32, 3, 2, width=2), BigGANDiscriminator(32, 3, 2, width=2)):
        layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
        assert all(nn.utils.parametrize.is_parametrized(each, "weight") for each in layers)


def test_attention_stands_where_it_is_asked_for_and_nowhere_else():
    for network in (BigGANGenerator, BigGANDiscriminator):
        for asked, count in ((16, 1), (None, 0)):
            found = network(32, 3, width=1, attention_at=asked, spectral_norm=False).modules()
            assert sum(isinstance(each, SelfAttention) for each in found) == count
    with pytest.raises(InputError, match=r"model.generator.attention_at=64: .* 8, 16, 32 pixels high"):
        BigGANGenerator(32, 3, width=1, attention_at=64)
    with pytest.raises(InputError, match=r"model.discriminator.attention_at=32: .* 8, 16 pixels high"):
        BigGANDiscriminator(32, 3, width=1, attention_at=32)


def test_blocks_of_biggan_are_their_convolutions_beside_a_shortcut():
    maps = torch.randn(2, 3, 4, 4)
    up = UpBlock(3, 5, None, spectral_norm=False)
    nn.init.zeros_(up.second.weight)
    torch.testing.assert_close(up(maps), nn.functional.interpolate(up.shortcut(maps), scale_factor=2.0))
    for starts in (True, False):
        down = DownBlock(3, 5, None, spectral_norm=False, starts=starts)
        inner = nn.functional.conv2d(maps.relu() if starts else maps, down.first.weight, padding=1).relu()
        inner = nn.functional.avg_pool2d(nn.functional.conv2d(inner, down.second.weight, padding=1), 2)
        shortcut = nn.functional.conv2d(nn.functional.avg_pool2d(maps, 2), down.shortcut[-1].weight)
        torch.testing.assert_close(down(maps), inner + shortcut, atol=1e-5, rtol=1e-4)
    same = DownBlock(3, 3, None, spectral_norm=False, down=False)
    nn.init.zeros_(same.second.weight)
    assert torch.equal(same(maps), maps)


def test_a_unet_discriminates_the_image_and_each_of_its_pixels():
    network = UNetDiscriminator(16, 3, 4, width=2).eval()
    images, labels = torch.randn(2, 3, 16, 16), torch.tensor([0, 3])
    output = network(images, labels)
    assert output.logits.shape == (2,)
    assert output.pixels.shape == (2, 16, 16)
    torch.testing.assert_close(output.per_image(), output.logits + output.pixels.mean((1, 2)))
    other = network(images, torch.tensor([0, 2]))
    assert ((output.logits - other.logits).abs() > 1e-5).tolist() == [False, True]
    assert ((output.pixels - other.pixels).abs() > 1e-5).flatten(1).any(1).tolist() == [False, True]
    assert not network.mixes_samples


def test_every_level_of_a_unet_reaches_the_output_of_a_pixel():
    network = UNetDiscriminator(16, 1, width=4, spectral_norm=False)
    images = torch.randn(1, 1, 16, 16)
    before = network(images).pixels
    for block in network.up:
        with torch.no_grad():
            kept = block.first.weight.clone()
            half = block.first.in_channels // 2
            block.first.weight[:, half:] += 1  # of the first block some of the lowest maps, of the others those beside
            assert not torch.allclose(network(images).pixels, before)
            block.first.weight.copy_(kept)


def test_a_unet_makes_an_image_of_an_image_of_noise():
    generator = UNetGenerator(16, 3, latents=2, width=8).eval()
    assert generator.latent_shape == (2, 16, 16)
    latents = generator.latents(1)
    changed = latents.clone()
    changed[..., 0, 0] += 1
    moved = (generator(latents) - generator(changed)).abs().amax(1)[0]
    assert moved[0, 0] > moved[8:, 8:].max()  # what goes straight across keeps its place
    assert (moved > 0).all()  # and what goes through the lowest level reaches all

"""What every network of GANs promises, for BigGAN, StyleGAN2, R3GAN and U-Nets."""

from functools import partial

import pytest
import torch
from torch import nn

from aigc.errors import InputError
from aigc.models.images.gan import BigGANDiscriminator, Discriminator, UNetDiscriminator
from aigc.models.images.gan.r3gan import ResidualBlock
from tests.unit.models.gan_modern_networks import KINDS

ALL = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def discriminator(kind, classes, resolution=None) -> Discriminator:
    """In evaluation mode, as each use of a spectral norm in training changes it; with no layer that gives zeros."""
    found = KINDS[kind].discriminator(resolution or KINDS[kind].works[0], 3, classes)
    for block in found.modules():
        if isinstance(block, ResidualBlock):
            nn.init.normal_(block.narrow.weight)
    return found.eval()


def images(network, count=4):
    return torch.randn(count, network.channels, network.resolution, network.resolution)


def r1_by_function(discriminate, pixels):
    def summed(each):
        values = discriminate(each)
        return values.sum(), values

    gradient, values = torch.func.grad(summed, has_aux=True)(pixels)
    return values.sum() + gradient.square().sum()


def r1_by_autograd(discriminate, pixels):
    pixels = pixels.clone().requires_grad_()
    total = discriminate(pixels).sum()
    (gradient,) = torch.autograd.grad(total, pixels, create_graph=True)
    return total + gradient.square().sum()


@ALL
def test_both_networks_work_with_and_without_classes_in_grey_and_colour(kind):
    for resolution, channels, classes in zip(KINDS[kind].works, (1, 3), (0, 3), strict=True):
        labels = torch.tensor([0, 2]) if classes else None
        generator = KINDS[kind].generator(resolution, channels, classes)
        latents = generator.latents(2)
        assert latents.shape == (2, *generator.latent_shape)
        made = generator(latents, labels)
        assert made.shape == (2, channels, resolution, resolution)
        assert made.isfinite().all()
        output = KINDS[kind].discriminator(resolution, channels, classes)(made, labels)
        assert output.logits.shape == (2,)
        assert output.per_image().isfinite().all()


@ALL
def test_another_resolution_is_refused_with_those_that_work(kind):
    for make in (KINDS[kind].generator, KINDS[kind].discriminator):
        for resolution in KINDS[kind].refuses:
            with pytest.raises(
                InputError, match=rf"{resolution} x {resolution}.* {KINDS[kind].works[0]}, .*data.resolution"
            ):
                make(resolution, 3, 0)


@ALL
def test_labels_change_images_and_outputs_and_cannot_be_left_out(kind):
    generator = KINDS[kind].generator(KINDS[kind].works[0], 3, 3).eval()
    discriminate = discriminator(kind, 3)
    latents, pixels = generator.latents(2), images(discriminate, 2)
    zeros, mixed = torch.tensor([0, 0]), torch.tensor([0, 1])
    made = [generator(latents, labels) for labels in (zeros, mixed)]
    discriminated = [discriminate(pixels, labels).logits for labels in (zeros, mixed)]
    for first, second in (made, discriminated):
        torch.testing.assert_close(first[0], second[0])
        assert (first[1] - second[1]).abs().max() > 1e-4
    with pytest.raises(ValueError, match="labels are missing"):
        generator(latents)
    with pytest.raises(ValueError, match="labels are missing"):
        discriminate(pixels)


@ALL
@pytest.mark.parametrize("classes", [0, 3])
def test_derivatives_of_a_gradient_penalty_are_those_of_autograd(kind, classes):
    network = discriminator(kind, classes)
    labels = torch.tensor([0, 1, 2, 0]) if classes else None
    weights = list(network.parameters())
    pixels = images(network)
    found, expected = (
        torch.autograd.grad(penalty(lambda each: network(each, labels).per_image(), pixels), weights)
        for penalty in (r1_by_function, r1_by_autograd)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert not network.normalises_batches


@pytest.mark.parametrize("kind", [partial(BigGANDiscriminator, attention_at=None), UNetDiscriminator])
def test_an_auxiliary_classifier_predicts_what_a_projection_is_conditioned_on(kind):
    network = kind(32, 3, 5, width=4, conditioning="auxiliary").eval()
    given = images(network)
    found = network(given)
    assert found.classes.shape == (4, 5)
    assert torch.equal(found.per_image(), network(given, torch.tensor([0, 1, 2, 3])).per_image())


@ALL
def test_no_weight_of_either_network_is_left_without_a_gradient(kind):
    generator = KINDS[kind].generator(KINDS[kind].works[0], 3, 3)
    network = discriminator(kind, 3)
    labels = torch.tensor([0, 1])
    network(generator(generator.latents(2), labels), labels).per_image().sum().backward()
    unused = [name for one in (generator, network) for name, weight in one.named_parameters() if weight.grad is None]
    assert unused == []


@ALL
def test_bfloat16_and_channels_last_stay_near_float32(kind):
    generator = KINDS[kind].generator(KINDS[kind].works[0], 3, 3).eval()
    network = discriminator(kind, 3)
    labels, latents = torch.tensor([0, 1, 2, 0]), generator.latents(4)
    made = generator(latents, labels)
    discriminated = network(made.clone(), labels).logits
    for one in (generator, network):
        one.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        low = generator(latents.contiguous(), labels)
        low_discriminated = network(made.contiguous(memory_format=torch.channels_last), labels).logits
    assert low.dtype == low_discriminated.dtype == torch.float32  # the last layers are not in bfloat16
    assert low.is_contiguous(memory_format=torch.channels_last)
    assert (low - made).norm() < 0.05 * made.norm()
    assert (low_discriminated - discriminated).norm() < 0.05 * discriminated.norm()
    assert not torch.equal(low, made)


@ALL
def test_loaded_weights_give_the_same_images_and_outputs(kind):
    labels = torch.tensor([0, 1])
    for make in (KINDS[kind].generator, KINDS[kind].discriminator):
        network, other = (make(KINDS[kind].works[0], 3, 3).train() for _ in range(2))
        given = network.latents(2) if hasattr(network, "latents") else images(network, 2)
        network(given, labels)  # running statistics, power iterations and the average style have moved
        other.load_state_dict(network.state_dict())
        found, expected = (
            (one if torch.is_tensor(one) else one.logits)
            for one in (other.eval()(given, labels), network.eval()(given, labels))
        )
        assert torch.equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stylegan2", "r3gan"])
def test_a_compiled_gradient_penalty_is_the_eager_one(kind):
    network = discriminator(kind, 3, resolution=8)
    labels, pixels, weights = torch.tensor([0, 1, 2, 0]), images(network), list(network.parameters())

    def penalty(pixels):
        return r1_by_function(lambda each: network(each, labels).per_image(), pixels)

    compiled = torch.compile(penalty, fullgraph=True, backend="aot_eager")
    found, expected = (torch.autograd.grad(each(pixels), weights) for each in (compiled, penalty))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)

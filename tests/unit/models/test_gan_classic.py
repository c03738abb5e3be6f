"""MLP, DCGAN and residual networks: shapes, classes, derivatives, precision, layout, sizes."""

import copy
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from aigc.errors import InputError
from aigc.models.images.gan.dcgan import DCGANDiscriminator, DCGANGenerator
from aigc.models.images.gan.mlp import MLPDiscriminator, MLPGenerator
from aigc.models.images.gan.resnet import ResNetDiscriminator, ResNetGenerator

LABELS = torch.tensor([0, 2, 1, 2])
GENERATORS = {
    "mlp": partial(MLPGenerator, 6, 1, 3, latents=8, widths=[9, 10]),
    "dcgan": partial(DCGANGenerator, 16, 3, 3, latents=8, width=4),
    "dcgan nearest": partial(DCGANGenerator, 16, 1, 3, latents=8, width=4, upsampling="nearest", embedding=0),
    "resnet": partial(ResNetGenerator, 32, 3, 3, latents=8, width=4, embedding=0),
    "sagan": partial(ResNetGenerator, 32, 1, 3, latents=8, width=8, attention_at=8, spectral_norm=True),
}
DISCRIMINATORS = {
    "mlp": partial(MLPDiscriminator, 6, 1, 3, widths=[9, 8], dropout=0.0),
    "dcgan": partial(DCGANDiscriminator, 16, 1, 3, width=4),
    "dcgan instance": partial(DCGANDiscriminator, 16, 3, 3, width=4, normalisation="instance"),
    "dcgan layer": partial(DCGANDiscriminator, 16, 1, 3, width=4, normalisation="layer"),
    "wgan": partial(ResNetDiscriminator, 32, 3, 3, width=6, spectral_norm=False, normalisation="layer", pooling="mean"),
    "sagan": partial(ResNetDiscriminator, 32, 1, 3, width=8, attention_at=16),
}


@pytest.fixture(autouse=True)
def _same_numbers():
    torch.manual_seed(0)


def random_images(network, count=4, **kind):
    return torch.randn(count, network.channels, network.resolution, network.resolution, **kind)


def attentive(network):
    """The same network, whose attention counts."""
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            nn.init.constant_(parameter, 0.7)
    return network


@pytest.mark.parametrize(
    ("generator", "discriminator", "resolutions"),
    [
        (partial(MLPGenerator, widths=[3]), partial(MLPDiscriminator, widths=[3]), [1, 5, 28]),
        (partial(DCGANGenerator, width=2), partial(DCGANDiscriminator, width=2), [8, 16, 32, 64, 128, 256]),
        (partial(ResNetGenerator, width=8), partial(ResNetDiscriminator, width=8), [32, 48, 64, 128]),
    ],
    ids=["mlp", "dcgan", "resnet"],
)
def test_images_have_the_size_that_was_asked_for(generator, discriminator, resolutions):
    for resolution in resolutions:
        made = generator(resolution, 3, latents=4)
        latents = made.latents(2)
        assert latents.shape == (2, 4)
        images = made(latents)
        assert images.shape == (2, 3, resolution, resolution)
        assert images.abs().max() <= 1
        output = discriminator(resolution, 3)(images)
        assert output.logits.shape == (2,)
        assert output.classes is output.pixels is None


@pytest.mark.parametrize(
    ("network", "resolution", "says"),
    [
        (DCGANGenerator, 48, "8, 16, 32, 64, 128, 256. Set data.resolution=32"),
        (DCGANDiscriminator, 4, "8, 16, 32, 64, 128, 256. Set data.resolution=8"),
        (ResNetGenerator, 28, "32, 48, 64, 128. Set data.resolution=32"),
        (ResNetDiscriminator, 256, "32, 48, 64, 128. Set data.resolution=128"),
    ],
)
def test_another_size_is_refused_with_those_that_work(network, resolution, says):
    with pytest.raises(InputError, match=says):
        network(resolution, 3)


@pytest.mark.parametrize("kind", GENERATORS)
def test_images_depend_on_latents_and_class(kind):
    network = attentive(GENERATORS[kind]()).train()
    for name, parameter in network.named_parameters():
        if "gain" in name or "shift" in name:
            nn.init.normal_(parameter)
    network.eval()
    latents = network.latents(1).expand(4, -1)
    images = network(latents, LABELS)
    others = network(network.latents(4), LABELS)
    least = 1e-3 * images.abs().max().item()
    assert (images[1] - images[3]).abs().max() < least / 10
    assert (images[0] - images[1]).abs().max() > least
    assert (images[0] - others[0]).abs().max() > least
    with pytest.raises(ValueError, match="missing"):
        network(latents)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_projection_is_conditioned_on_the_class_and_an_auxiliary_classifier_predicts_it(kind):
    told, finds = (DISCRIMINATORS[kind](conditioning=one).eval() for one in ("projection", "auxiliary"))
    images = random_images(told, 1).expand(4, -1, -1, -1)
    logits = told(images, LABELS).logits.tolist()
    assert logits[1] == pytest.approx(logits[3], rel=1e-4)
    assert logits[0] != pytest.approx(logits[1], rel=1e-3)
    with pytest.raises(ValueError, match="labels are missing"):
        told(images)
    assert finds(images).classes.shape == (4, 3)
    assert torch.equal(finds(images).logits, finds(images, LABELS).logits)


@pytest.mark.parametrize(
    "network", [GENERATORS["sagan"], DISCRIMINATORS["dcgan"], DISCRIMINATORS["sagan"]], ids=["G", "dcgan", "sagan"]
)
def test_spectral_norm_is_on_each_linear_and_convolution(network):
    layers = [part for part in network().modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    assert len(layers) > 2
    assert all(is_parametrized(layer, "weight") for layer in layers)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_a_penalty_on_the_input_gradient_has_the_right_derivative(kind):
    network = attentive(DISCRIMINATORS[kind]()).double().eval()
    images = random_images(network, dtype=torch.float64)

    def penalty():
        gradient = torch.func.grad(lambda seen: network(seen, LABELS).per_image().sum())(images)
        return gradient.square().sum()

    seen = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(network(seen, LABELS).per_image().sum(), seen)
    assert penalty().item() == pytest.approx(plain.square().sum().item(), rel=1e-9)
    weights = list(network.parameters())
    gradients = torch.autograd.grad(penalty(), weights, allow_unused=True)
    directions, step = [torch.randn_like(weight) for weight in weights], 1e-6
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)
    ends = []
    for sign in (1, -2):
        torch._foreach_add_([weight.data for weight in weights], directions, alpha=sign * step)
        ends.append(penalty().item())
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-4)


@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_the_output_for_an_image_depends_on_it_alone(kind):
    network = attentive(DISCRIMINATORS[kind]()).eval()
    assert not network.mixes_samples
    images = random_images(network)
    alone = torch.cat([network(images[n : n + 1], LABELS[n : n + 1]).logits for n in range(4)])
    torch.testing.assert_close(network(images, LABELS).logits, alone, atol=1e-6, rtol=1e-4)


def test_batch_normalisation_mixes_samples_and_says_so():
    network = DCGANDiscriminator(16, 1, width=4, normalisation="batch")
    assert network.mixes_samples
    assert network.normalises_batches
    images = random_images(network)
    assert not torch.allclose(network(images).logits[:2], network(images[:2]).logits, rtol=1e-3)


@pytest.mark.parametrize("kind", [f"G {name}" for name in GENERATORS] + [f"D {name}" for name in DISCRIMINATORS])
def test_bf16_and_channels_last_change_nothing_but_rounding(kind):
    makes = kind[0] == "G"
    network = attentive((GENERATORS if makes else DISCRIMINATORS)[kind[2:]]()).eval()
    given = network.latents(4) if makes else random_images(network)

    def out(of, seen):
        with torch.no_grad():
            answer = of(seen, LABELS)
        return answer if makes else answer.logits

    expected = out(network, given)
    last = copy.deepcopy(network).to(memory_format=torch.channels_last)
    seen = given if makes else given.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out(last, seen), expected, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        for rounded in (out(network, given), out(last, seen)):
            assert rounded.dtype == torch.float32
            torch.testing.assert_close(rounded, expected, atol=0.05 * float(expected.abs().max()), rtol=0)


@pytest.mark.parametrize("kind", ["G sagan", "D sagan", "D dcgan", "G dcgan nearest"])
def test_weights_that_are_saved_make_the_same_network_again(kind):
    make = (GENERATORS if kind[0] == "G" else DISCRIMINATORS)[kind[2:]]
    network, other = make(), make()
    given = network.latents(4) if kind[0] == "G" else random_images(network)
    for _ in range(3):
        network(given, LABELS)
    other.load_state_dict(network.state_dict())
    made, again, copied = (one.eval()(given, LABELS) for one in (network, other, copy.deepcopy(network)))
    assert all(torch.equal(one, other) for one, other in zip(made, again, strict=True) if one is not None)
    assert all(torch.equal(one, other) for one, other in zip(made, copied, strict=True) if one is not None)


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_dcgan_is_as_large_as_the_widely_copied_one():
    """Summaries of PyTorch's DCGAN example print 3,576,704 and 2,765,568; it has no biases at either end."""
    assert size(DCGANGenerator(64, 3, latents=100)) == 3_576_704 + 3
    assert size(DCGANDiscriminator(64, 3, normalisation="batch")) == 2_765_568 + 64 + 1


@pytest.mark.slow
def test_a_penalty_compiles_as_one_graph_with_the_same_numbers():
    network = DCGANDiscriminator(8, 1, 3, width=4)
    other, images = copy.deepcopy(network), random_images(network)

    def penalty(of):
        return torch.func.grad(lambda seen: of(seen, LABELS).per_image().sum())(images).square().sum()

    compiled = torch.compile(penalty, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        found, expected = compiled(other), penalty(network)
        torch.testing.assert_close(found, expected)
        found.backward()
        expected.backward()
    for name, parameter in other.named_parameters():
        torch.testing.assert_close(parameter.grad, network.get_parameter(name).grad)
    torch.testing.assert_close(other.state_dict(), network.state_dict(), msg="power iterations count as well")

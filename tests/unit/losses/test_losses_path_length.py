"""Path length regularisation of linear generators, whose derivatives can be written down."""

import pytest
import torch
from torch import nn

from aigc.losses import PathLength, path_length_penalty
from aigc.models.images.gan import Generator, StyleGenerator
from tests.unit.losses.discriminators import images

PIXELS = 2 * 3


class Styled(StyleGenerator):
    """Styles 2 z, or z of the second layer negated; images sum_l B_l w_l."""

    def __init__(self, layers=2, width=4):
        super().__init__(3, 2)
        self.latent_shape = (width,)
        self.layers = nn.Parameter(images(layers, width, 2 * PIXELS, seed=3))

    def mapping(self, latents, labels=None):
        return torch.stack([(2 - 3 * layer) * latents for layer in range(len(self.layers))], dim=1)

    def synthesis(self, styles):
        return torch.einsum("nlw,lwp->np", styles, self.layers).view(-1, 2, 2, 3)


class Plain(Generator):
    """Images of latents with two axes, by one matrix."""

    def __init__(self):
        super().__init__(3, 2)
        self.latent_shape = (2, 2)
        self.matrix = nn.Parameter(images(4, 2 * PIXELS, seed=3))

    def forward(self, latents, labels=None):
        return (latents.flatten(1) @ self.matrix).view(-1, 2, 2, 3)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [1, 5])
def test_lengths_and_the_gradient_by_hand(count):
    generator = Styled(layers=1)
    styles = generator.mapping(images(count, 4)).requires_grad_()
    noise, average = images(count, 2, 2, 3, seed=5), torch.tensor(0.7, dtype=torch.float64)
    penalty, new_average = path_length_penalty(generator.synthesis(styles), styles, noise, average, decay=0.1)
    matrix, flat = generator.layers[0].detach(), noise.flatten(1)
    projected = flat @ matrix.T / PIXELS**0.5
    lengths = projected.norm(dim=1)
    close(new_average, 0.9 * average + 0.1 * lengths.mean())
    close(penalty, (lengths - new_average).square().mean())
    shares = 2 * (lengths - new_average) / lengths / count / PIXELS**0.5
    (gradient,) = torch.autograd.grad(penalty, generator.layers)
    close(gradient[0], (shares[:, None] * projected).T @ flat)
    assert not new_average.requires_grad


def test_squares_are_averaged_over_layers():
    generator = Styled(layers=2)
    styles = generator.mapping(images(5, 4)).requires_grad_()
    noise = images(5, 2, 2, 3, seed=5)
    penalty, new_average = path_length_penalty(generator.synthesis(styles), styles, noise, torch.zeros(()), 0.0)
    squares = [(noise.flatten(1) @ layer.T / PIXELS**0.5).square().sum(1) for layer in generator.layers]
    close(penalty, (sum(squares) / 2).mean())
    assert new_average == 0


@pytest.mark.parametrize("kind", [Styled, Plain])
def test_a_generator_is_penalised_by_its_styles_or_else_by_its_latents(kind):
    generator, regulariser = kind(), PathLength(decay=0.25)
    assert (regulariser.weight, regulariser.every_n_steps) == (2.0, 4)
    torch.manual_seed(3)
    latents = generator.latents(5).double()
    matrices = generator.layers if kind is Styled else generator.matrix[None]
    average = 0.0
    for step in range(2):
        torch.manual_seed(step)
        found = regulariser(generator, latents, None)
        torch.manual_seed(step)
        noise = torch.randn(5, 2, 2, 3, dtype=torch.float64).flatten(1)
        squares = torch.stack([(noise @ matrix.T / PIXELS**0.5).square().sum(1) for matrix in matrices])
        lengths = squares.mean(0).sqrt()
        average += 0.25 * (lengths.mean().item() - average)
        assert found.item() == pytest.approx((lengths - average).square().mean().item(), rel=1e-6)
        assert float(regulariser.average) == pytest.approx(average, rel=1e-6)
    assert all(gradient.any() for gradient in torch.autograd.grad(found, generator.parameters()))
    assert not latents.requires_grad


def test_it_resumes_from_its_state():
    generator, regulariser, restored = Styled(), PathLength(), PathLength()
    regulariser(generator, images(5, 4), None)
    restored.load_state_dict(regulariser.state_dict())
    assert float(restored.average) == float(regulariser.average) > 0


def test_a_generator_that_makes_one_image_alone_has_finite_derivatives():
    generator = Styled()
    with torch.no_grad():
        generator.layers.zero_()
    (gradient,) = torch.autograd.grad(PathLength()(generator, images(5, 4), None), generator.layers)
    assert torch.isfinite(gradient).all()


def test_labels_reach_the_generator():
    asked = []

    class Asked(Plain):
        def forward(self, latents, labels=None):
            asked.append(labels)
            return super().forward(latents, labels)

    labels = torch.arange(5)
    PathLength()(Asked(), images(5, 2, 2), labels)
    assert asked == [labels]


def test_autocast_in_bfloat16_keeps_lengths_in_float32():
    generator, exact, regulariser = Styled().float(), PathLength(), PathLength()
    latents = images(5, 4).float()
    torch.manual_seed(0)
    expected = exact(generator, latents, None)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = regulariser(generator, latents, None)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=0.05)
    assert torch.isfinite(torch.autograd.grad(found, generator.layers)[0]).all()

"""Penalties on the input gradient, against closed forms, and derived once more."""

import pytest
import torch
from torch import nn

from aigc.losses import (
    dragan_penalty,
    get,
    gradient_penalty,
    input_gradient,
    r1_penalty,
    r2_penalty,
    squared_norm,
)
from aigc.losses.regularisers.input_gradient import root
from aigc.models.images.gan.base import DiscriminatorOutput
from tests.unit.losses.discriminators import Convolutional, Quadratic, images

REAL, FAKE = images(5, 1, 2, 3, seed=1), images(5, 1, 2, 3, seed=2)


class Watched:
    """Keeps the images that a discriminator is shown."""

    def __init__(self, discriminator):
        self.discriminator = discriminator
        self.shown = []

    def __call__(self, pixels):
        self.shown.append(pixels.detach())
        return self.discriminator(pixels)

    @property
    def images(self):
        """The only ones, as plain numbers."""
        (shown,) = self.shown
        return torch.tensor(shown.tolist(), dtype=torch.float64)


def penalised(penalty, discriminator):
    value = penalty(discriminator)
    return value, list(torch.autograd.grad(value, discriminator.parameters()))


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("penalty", [r1_penalty, r2_penalty])
def test_r1_and_r2_are_the_mean_squared_norm_and_derived_by_hand(penalty, count):
    discriminator, shown = Quadratic(6), REAL[:count]
    value, gradients = penalised(lambda discriminator: penalty(discriminator, shown), discriminator)
    close(value, discriminator.gradient(shown).square().sum(1).mean())
    close(gradients, discriminator.weight_gradients(shown))


def test_r1_of_a_linear_discriminator_is_its_squared_slope():
    discriminator = Quadratic(6, curved=False)
    value, gradients = penalised(lambda discriminator: r1_penalty(discriminator, REAL), discriminator)
    close(value, discriminator.slope.square().sum())
    close(gradients[1], 2 * discriminator.slope.detach())


PENALTIES = {
    "gradient_penalty": lambda discriminator, target: gradient_penalty(discriminator, REAL, FAKE, 3, target),
    "dragan_penalty": lambda discriminator, target: dragan_penalty(discriminator, REAL, 3, target),
}


@pytest.mark.parametrize("target", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_the_norm_are_derived_by_hand(name, target):
    discriminator = Quadratic(6)
    watched = Watched(discriminator)
    value = PENALTIES[name](watched, target)
    gradients = list(torch.autograd.grad(value, discriminator.parameters()))
    norms = discriminator.gradient(watched.images).norm(dim=1, keepdim=True)
    close(value, (norms - target).square().mean())
    close(gradients, discriminator.weight_gradients(watched.images, 1 - target / norms))


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_the_norm_of_a_linear_discriminator_look_at_its_slope_alone(name):
    discriminator = Quadratic(6, curved=False)
    value, gradients = penalised(lambda discriminator: PENALTIES[name](discriminator, 1.0), discriminator)
    norm = discriminator.slope.detach().norm()
    close(value, (norm - 1) ** 2)
    close(gradients[1], 2 * (norm - 1) / norm * discriminator.slope.detach())


def test_mixes_lie_on_the_lines_between_made_and_real_images():
    real, fake = images(64, 1, 2, 3, seed=1), images(64, 1, 2, 3, seed=2)
    watched = Watched(Quadratic(6))
    gradient_penalty(watched, real, fake, seed=0)
    shares = ((watched.images - fake) / (real - fake)).flatten(1)
    close(shares, shares[:, :1].expand_as(shares))
    first = shares[:, 0]
    assert 0 <= first.min() < 0.1 < 0.9 < first.max() <= 1


def test_points_around_real_images_lie_within_half_a_deviation():
    real = 3 * images(64, 1, 2, 3, seed=1)
    watched = Watched(Quadratic(6))
    dragan_penalty(watched, real, seed=0)
    moved = (watched.images - real) / real.std(correction=0)
    assert 0 <= moved.min() < 0.01 < 0.45 < moved.max() <= 0.5
    assert (moved.std(dim=(1, 2, 3)) > 0).all(), "pixels of one image move by different parts"


def test_the_seed_alone_decides_where_the_penalty_is_taken():
    discriminator = Quadratic(6)
    torch.manual_seed(0)
    first = gradient_penalty(discriminator, REAL, FAKE, 3)
    state = torch.get_rng_state()
    assert gradient_penalty(discriminator, REAL, FAKE, 3) == first != gradient_penalty(discriminator, REAL, FAKE, 4)
    assert torch.equal(torch.get_rng_state(), state)


def test_unequal_batches_are_refused():
    with pytest.raises(ValueError, match=r"\(5, 1, 2, 3\) and generated ones \(4, 1, 2, 3\): give equal batches"):
        gradient_penalty(Quadratic(6), REAL, FAKE[:4], 0)


@pytest.mark.parametrize("penalty", [r1_penalty, *PENALTIES.values()])
def test_penalties_are_derived_as_often_as_one_likes(penalty):
    def of_weights(first, last):
        def discriminator(pixels):
            return (torch.tanh(pixels.flatten(1)[:2] @ first) @ last).flatten()

        return penalty(discriminator, REAL[:2] if penalty is r1_penalty else 1.0)

    weights = [images(6, 2, seed=4).requires_grad_(), images(2, 1, seed=5).requires_grad_()]
    assert torch.autograd.gradcheck(of_weights, weights)
    assert torch.autograd.gradgradcheck(of_weights, weights)


def test_a_flat_discriminator_has_finite_derivatives():
    weights = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    value = gradient_penalty(lambda pixels: pixels.flatten(1) @ weights, REAL, FAKE, 0)
    (first,) = torch.autograd.grad(value, weights, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), weights)
    assert value == 1
    assert torch.equal(first, torch.zeros(6, dtype=torch.float64))
    assert torch.isfinite(second).all()
    plain, safe = (torch.autograd.grad(of(weights.square().sum()), weights)[0] for of in (torch.sqrt, root))
    assert plain.isnan().all(), "the plain root is what must not be taken"
    assert torch.equal(safe, torch.zeros(6, dtype=torch.float64))


def test_one_pass_gives_the_values_and_the_gradient_of_their_sum():
    discriminator = Quadratic(6)
    watched = Watched(discriminator)
    values, gradient = input_gradient(watched, REAL)
    assert len(watched.shown) == 1
    close(values, discriminator(REAL))
    close(gradient.flatten(1), discriminator.gradient(REAL))
    assert values.requires_grad
    assert not REAL.requires_grad


def test_penalties_differentiate_the_logits_and_the_mean_of_the_pixels():
    def discriminator(pixels):
        return DiscriminatorOutput(3 * pixels.sum((1, 2, 3)), pixels=pixels[:, 0].square())

    values, gradient = input_gradient(discriminator, REAL)
    close(values, 3 * REAL.sum((1, 2, 3)) + REAL.square().mean((1, 2, 3)))
    close(gradient, 3 + 2 * REAL / 6)
    close(r1_penalty(discriminator, REAL), (3 + 2 * REAL / 6).square().sum((1, 2, 3)).mean())


def test_norms_are_summed_in_float32_at_least():
    small = torch.full((2, 3, 64, 64), 0.01, dtype=torch.bfloat16)
    exact = small.double().square().sum((1, 2, 3))
    assert squared_norm(small).dtype == torch.float32
    assert squared_norm(small).tolist() == pytest.approx(exact.tolist(), rel=1e-5)
    assert squared_norm(small.double()).dtype == torch.float64


def losses_of(discriminator, real, fake):
    total = (
        r1_penalty(discriminator, real)
        + r2_penalty(discriminator, fake)
        + gradient_penalty(discriminator, real, fake, 0)
    )
    return total + get("relativistic").discriminator(discriminator(real), discriminator(fake))


def test_autocast_in_bfloat16_gives_nearly_the_same_gradients():
    torch.manual_seed(0)
    discriminator, real, fake = Convolutional(), images(8, 1, 6, 6, seed=1).float(), images(8, 1, 6, 6, seed=2).float()

    def gradient(**autocast):
        with torch.autocast("cpu", torch.bfloat16, **autocast):
            total = losses_of(discriminator, real, fake)
        assert total.dtype == torch.float32
        return torch.cat([one.flatten() for one in torch.autograd.grad(total, discriminator.parameters())])

    exact = gradient(enabled=False)
    assert (gradient() - exact).norm() < 0.05 * exact.norm()
    # Weights that autocast has cast once serve one derivative after the other.
    assert (gradient() - gradient(cache_enabled=False)).norm() < 0.01 * exact.norm()


def test_batch_normalisation_is_refused_by_torch():
    discriminator = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(6, 1), nn.Flatten(0)).double()
    with pytest.raises(RuntimeError, match="in-place"):
        r1_penalty(discriminator, REAL)

"""Regularisers as a training step uses them: weights, draws, buffers, and all of them compiled."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from aigc.config.targets import is_subclass, signature
from aigc.losses import (
    DRAGAN,
    R1,
    R2,
    Consistency,
    GradientPenalty,
    LeCam,
    consistency_penalty,
    get,
    lecam_penalty,
    r1_penalty,
    r2_penalty,
)
from aigc.losses.regularisers.consistency import flip_and_shift, picked
from tests.unit.losses.discriminators import Convolutional, Quadratic, images, phase_of

REAL, FAKE = images(5, 1, 2, 3, seed=1), images(5, 1, 2, 3, seed=2)
SETTINGS = {
    "R1": {"gamma", "every_n_steps", "final_gamma"},
    "R2": {"gamma", "every_n_steps", "final_gamma"},
    "GradientPenalty": {"weight", "target", "every_n_steps"},
    "DRAGAN": {"weight", "target", "reach", "every_n_steps"},
    "LeCam": {"weight", "decay"},
    "Consistency": {"weight", "shift"},
    "PathLength": {"weight", "decay", "every_n_steps"},
}


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("kind", "plain", "shown"), [(R1, r1_penalty, REAL), (R2, r2_penalty, FAKE)])
def test_r1_and_r2_take_the_gradient_of_the_step_and_half_of_gamma(kind, plain, shown):
    discriminator, regulariser = Quadratic(6), kind(gamma=4.0, every_n_steps=16)
    assert (regulariser.weight, regulariser.every_n_steps, regulariser.differentiates) == (2.0, 16, True)
    assert (regulariser.real_gradient, regulariser.fake_gradient) == (kind is R1, kind is R2)
    found = regulariser(phase_of(discriminator, REAL, FAKE), {})
    close(found, plain(discriminator, shown))
    close(list(torch.autograd.grad(found, discriminator.parameters())), discriminator.weight_gradients(shown))


@pytest.mark.parametrize("regulariser", [GradientPenalty(target=2.0), DRAGAN(target=2.0)])
def test_penalties_of_the_norm_are_taken_where_was_drawn_with_the_labels_of_real_images(regulariser):
    discriminator, labels = Quadratic(6), torch.arange(5)
    asked = []

    def watched(pixels, given):
        asked.append((pixels.detach(), given))
        return discriminator(pixels)

    phase = phase_of(discriminator, REAL, FAKE, labels)
    object.__setattr__(phase, "discriminate", watched)
    torch.manual_seed(0)
    drawn = regulariser.draw(REAL)
    values = [regulariser(phase, drawn) for _ in range(2)]
    assert values[0] == values[1] != regulariser(phase, regulariser.draw(REAL))
    torch.manual_seed(0)
    assert all(torch.equal(part, drawn[name]) for name, part in regulariser.draw(REAL).items())
    points, given = torch.tensor(asked[0][0].tolist(), dtype=torch.float64), asked[0][1]
    assert given is labels
    norms = discriminator.gradient(points).norm(dim=1, keepdim=True)
    close(values[0], (norms - 2).square().mean())
    close(
        list(torch.autograd.grad(values[0], discriminator.parameters())),
        discriminator.weight_gradients(points, 1 - 2 / norms),
    )


def test_lecam_by_hand():
    real = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64, requires_grad=True)
    fake = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64, requires_grad=True)
    found = lecam_penalty(real, fake, 1.5, -0.5)
    close(found, torch.tensor((1.5**2 + 3.5**2) / 3 + (2.5**2 + 1.0**2) / 3, dtype=torch.float64))
    of_real, of_fake = torch.autograd.grad(found, [real, fake])
    close(of_real, 2 / 3 * torch.tensor([1.5, 0, 3.5], dtype=torch.float64))
    close(of_fake, -2 / 3 * torch.tensor([2.5, 1.0, 0], dtype=torch.float64))


def test_lecam_remembers_logits_without_bias_and_without_gradient():
    regulariser, decay, discriminator = LeCam(decay=0.9), 0.9, Quadratic(6)
    means = []
    for step in range(1, 5):
        phase = phase_of(discriminator, images(3, 1, 2, 3, seed=step), images(3, 1, 2, 3, seed=-step))
        means.append((phase.real_logits.mean().item(), phase.fake_logits.mean().item()))
        found = regulariser(phase, {})
        shares = [(1 - decay) * decay ** (step - before) / (1 - decay**step) for before in range(1, step + 1)]
        averages = [sum(share * one for share, one in zip(shares, kind, strict=True)) for kind in zip(*means)]  # noqa: B905
        for buffer, average in zip((regulariser.real_average, regulariser.fake_average), averages, strict=True):
            assert float(buffer) == pytest.approx(average, rel=1e-5)
            assert not buffer.requires_grad
        constants = (regulariser.real_average.double(), regulariser.fake_average.double())
        close(found, lecam_penalty(phase.real_logits, phase.fake_logits, *constants))
    restored = LeCam(decay=0.9)
    restored.load_state_dict(regulariser.state_dict())
    assert restored(phase, {}) == regulariser(phase, {}) != LeCam(decay=0.9)(phase, {})


def test_consistency_by_hand():
    discriminator = Quadratic(6, curved=False)
    found = consistency_penalty(discriminator(REAL), discriminator(FAKE))
    differences, moved = discriminator(REAL) - discriminator(FAKE), (REAL - FAKE).flatten(1)
    close(found, differences.square().mean())
    gradient = torch.autograd.grad(found, discriminator.slope)[0]
    close(gradient, (2 * differences[:, None] * moved).mean(0).detach())
    with pytest.raises(ValueError, match=r"one shape, got \(5,\) and \(1,\)"):
        consistency_penalty(discriminator(REAL), discriminator(FAKE[:1]))


def test_consistency_compares_real_images_with_moved_ones():
    torch.manual_seed(0)
    discriminator, regulariser = Quadratic(6), Consistency(shift=1)
    phase, drawn = phase_of(discriminator, REAL, FAKE), regulariser.draw(REAL)
    moved = picked(REAL, drawn["rows"], drawn["columns"])
    assert not torch.equal(moved, REAL)
    close(regulariser(phase, drawn), (discriminator(REAL) - discriminator(moved)).square().mean())
    assert not regulariser.differentiates


def every_move(image, reach):
    """All that may become of an image, by padding and cutting."""
    height, width = image.shape[1:]
    padded = F.pad(image[None], 4 * [reach], mode="reflect")[0]
    steps = range(2 * reach + 1)
    cut = [padded[:, down : down + height, right : right + width] for down in steps for right in steps]
    return [*cut, *(one.flip(2) for one in cut)]


def test_each_image_is_flipped_and_shifted_by_itself_and_every_move_happens():
    torch.manual_seed(0)
    image = torch.arange(2 * 5 * 8).view(2, 5, 8).double()
    moves = every_move(image, 2)
    found = flip_and_shift(image.expand(2000, -1, -1, -1), 2)
    seen = {next(n for n, move in enumerate(moves) if torch.equal(one, move)) for one in found}
    assert seen == set(range(len(moves)))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 4))
def test_images_smaller_than_the_shift_are_moved_within_themselves(height, width, reach):
    made = torch.rand(3, 1, height, width)
    found = flip_and_shift(made, reach)
    assert found.shape == made.shape
    assert all(set(new.flatten().tolist()) <= set(old.flatten().tolist()) for new, old in zip(found, made, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["relativistic", "relativistic_average"])
def test_a_whole_discriminator_loss_is_compiled_with_the_same_gradients(loss):
    torch.manual_seed(0)
    discriminator, real, fake = Convolutional(), images(4, 1, 6, 6, seed=1).float(), images(4, 1, 6, 6, seed=2).float()
    adversarial = get(loss)

    def run(compiled: bool):
        regularisers = nn.ModuleList([R1(1.0), R2(1.0), GradientPenalty(), DRAGAN(), LeCam(), Consistency()])

        def total(real, fake, drawn):
            phase = phase_of(discriminator, real, fake)
            penalties = [
                regulariser.weight * regulariser(phase, draws)
                for regulariser, draws in zip(regularisers, drawn, strict=True)
            ]
            return adversarial.discriminator(phase.real_logits, phase.fake_logits) + sum(penalties)

        torch.manual_seed(1)
        drawn = [regulariser.draw(real) for regulariser in regularisers]
        whole = torch.compile(total, backend="aot_eager", fullgraph=True) if compiled else total
        gradients = [torch.autograd.grad(whole(real, fake, drawn), discriminator.parameters()) for _ in range(2)]
        return gradients[1], list(regularisers.buffers())

    eager, compiled = run(False), run(True)
    for found, expected in zip(compiled, eager, strict=True):
        assert len(found) > 2
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_known_to_configs_with_a_help_text(name):
    found = signature(f"aigc.losses.{name}").parameters
    assert found.keys() == SETTINGS[name]
    assert all(parameter.doc and parameter.type is not None for parameter in found.values())
    assert is_subclass(f"aigc.losses.{name}", "aigc.losses.base.Regulariser")

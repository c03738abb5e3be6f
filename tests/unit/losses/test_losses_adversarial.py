"""Adversarial losses against their formulas, and what each of them depends on."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

import aigc.losses
from aigc.errors import InputError
from aigc.losses import AdversarialLoss, get, names

REAL = torch.tensor([0.3, -1.7, 2.5, 0.9], dtype=torch.float64)
FAKE = torch.tensor([-0.6, 1.4, -3.0, 0.2], dtype=torch.float64)


def log(values):
    return torch.log(values).mean()


def sigmoid(values):
    return 1 / (1 + torch.exp(-values))


FORMULAS = {
    "minimax": (
        lambda r, f: -log(sigmoid(r)) - log(1 - sigmoid(f)),
        lambda r, f: log(1 - sigmoid(f)),
    ),
    "non_saturating": (
        lambda r, f: -log(sigmoid(r)) - log(1 - sigmoid(f)),
        lambda r, f: -log(sigmoid(f)),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
        lambda r, f: ((f - 1) ** 2).mean(),
    ),
    "hinge": (
        lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (
        lambda r, f: f.mean() - r.mean(),
        lambda r, f: -f.mean(),
    ),
    "relativistic": (
        lambda r, f: -log(sigmoid(r - f)),
        lambda r, f: -log(sigmoid(f - r)),
    ),
    "relativistic_average": (
        lambda r, f: -log(sigmoid(r - f.mean())) - log(1 - sigmoid(f - r.mean())),
        lambda r, f: -log(sigmoid(f - r.mean())) - log(1 - sigmoid(r - f.mean())),
    ),
}
"""As the papers write them: of the discriminator, of the generator."""
NAMES = sorted(FORMULAS)


def slopes(name, r, f):
    """Derivatives by hand: the discriminator's by real and by fake logits, the generator's by the fake ones."""
    s, n = sigmoid, len(r)
    above, below = r - f.mean(), f - r.mean()
    return {
        "minimax": (-s(-r), s(f), -s(f)),
        "non_saturating": (-s(-r), s(f), -s(-f)),
        "least_squares": (2 * (r - 1), 2 * f, 2 * (f - 1)),
        "hinge": (-1.0 * (r < 1), 1.0 * (f > -1), -torch.ones(n)),
        "wasserstein": (-torch.ones(n), torch.ones(n), -torch.ones(n)),
        "relativistic": (-s(f - r), s(f - r), -s(r - f)),
        "relativistic_average": (
            -s(-above) - s(below).mean(),
            s(below) + s(-above).mean(),
            -s(-below) - s(above).mean(),
        ),
    }[name]


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_the_paper(name):
    loss = get(name)
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    found = loss.discriminator(real, fake), loss.generator(real, fake)
    for value, formula in zip(found, FORMULAS[name], strict=True):
        torch.testing.assert_close(value, formula(REAL, FAKE), rtol=0, atol=1e-9)
        assert value.shape == ()
    gradients = [*torch.autograd.grad(found[0], [real, fake]), *torch.autograd.grad(found[1], [fake])]
    for gradient, slope in zip(gradients, slopes(name, REAL, FAKE), strict=True):
        torch.testing.assert_close(gradient, slope.double() / len(REAL), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_one_image_alone_maps_of_pixels_and_half_precision_give_the_same_loss(name):
    loss = get(name)
    real, fake = REAL.bfloat16(), FAKE.bfloat16()
    for part in (loss.discriminator, loss.generator):
        of_map = part(REAL.view(1, 2, 2), FAKE.view(1, 2, 2))
        torch.testing.assert_close(of_map, part(REAL, FAKE), rtol=0, atol=1e-12)
        assert math.isfinite(part(REAL[:1], FAKE[:1]))
        half = part(real, fake)
        assert half.dtype == torch.float32
        assert half == part(real.float(), fake.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert loss.discriminator(real, fake) == loss.discriminator(real.float(), fake.float())


@pytest.mark.parametrize("name", NAMES)
def test_a_discriminator_that_is_sure_makes_no_infinite_loss(name):
    loss = get(name)
    real, fake = (torch.tensor([value, -value], requires_grad=True) for value in (1e4, -1e4))
    total = loss.discriminator(real, fake) + loss.generator(real, fake)
    gradients = torch.autograd.grad(total, [real, fake])
    assert all(torch.isfinite(number).all() for number in (total, *gradients))


def test_minimax_is_binary_cross_entropy_and_its_generator_plays_against_it():
    ones, zeros = torch.ones_like(REAL), torch.zeros_like(REAL)
    entropy = binary_cross_entropy_with_logits(REAL, ones) + binary_cross_entropy_with_logits(FAKE, zeros)
    torch.testing.assert_close(get("minimax").discriminator(REAL, FAKE), entropy)
    torch.testing.assert_close(get("minimax").generator(None, FAKE), -binary_cross_entropy_with_logits(FAKE, zeros))
    torch.testing.assert_close(
        get("non_saturating").generator(None, FAKE), binary_cross_entropy_with_logits(FAKE, ones)
    )


def test_minimax_saturates_and_non_saturating_does_not():
    seen_through = torch.tensor([-20.0], requires_grad=True)
    found = [get(name).generator(None, seen_through) for name in ("minimax", "non_saturating")]
    minimax, non_saturating = (torch.autograd.grad(loss, seen_through)[0] for loss in found)
    assert -1e-8 < minimax < 0
    assert non_saturating == pytest.approx(-1)


logits = st.lists(st.floats(-30, 30), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(logits, st.integers(0, 2**32), st.floats(-50, 50))
def test_relativistic_losses_depend_on_differences_alone(numbers, seed, shift):
    real = torch.tensor(numbers, dtype=torch.float64)
    fake = torch.randn(len(real), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for loss in map(get, ("relativistic", "relativistic_average")):
        for part in (loss.discriminator, loss.generator):
            torch.testing.assert_close(part(real + shift, fake + shift), part(real, fake), rtol=1e-9, atol=1e-9)
        swapped = loss.discriminator(fake, real)
        torch.testing.assert_close(loss.generator(real, fake), swapped, rtol=1e-9, atol=1e-9)


def test_other_losses_do_not():
    for name in {*NAMES} - {"relativistic", "relativistic_average", "wasserstein"}:
        moved = get(name).discriminator(REAL + 2, FAKE + 2)
        assert abs(moved - get(name).discriminator(REAL, FAKE)) > 0.01


@settings(max_examples=40, deadline=None)
@given(logits, st.sampled_from(NAMES), st.randoms())
def test_order_and_repetition_do_not_matter(numbers, name, random):
    real, fake = torch.tensor(numbers, dtype=torch.float64), torch.tensor(numbers[::-1], dtype=torch.float64) / 3
    order = random.sample(range(len(numbers)), len(numbers)) * 2
    for part in (get(name).discriminator, get(name).generator):
        torch.testing.assert_close(part(real[order], fake[order]), part(real, fake), rtol=1e-9, atol=1e-9)


def test_only_pairs_must_be_equally_many():
    with pytest.raises(ValueError, match=r"\(4,\) and fake ones \(3,\): give equal batches"):
        get("relativistic").discriminator(REAL, FAKE[:3])
    for name in {*NAMES} - {"relativistic"}:
        expected = FORMULAS[name][0](REAL, FAKE[:3])
        torch.testing.assert_close(get(name).discriminator(REAL, FAKE[:3]), expected)


@pytest.mark.parametrize("name", NAMES)
def test_losses_that_compare_ask_for_real_logits(name):
    loss = get(name)
    assert loss.compares == ("relativistic" in name)
    if loss.compares:
        with pytest.raises(ValueError, match="needs the logits of real images"):
            loss.generator(None, FAKE)
    else:
        assert loss.generator(None, FAKE) == loss.generator(REAL, FAKE)


def test_the_name_of_a_loss_is_that_of_its_module(tmp_path, monkeypatch):
    assert names() == NAMES
    assert all(isinstance(get(name), AdversarialLoss) for name in NAMES)
    assert [type(get(name)).__name__.lower() for name in NAMES] == [name.replace("_", "") for name in NAMES]
    (tmp_path / "own_loss.py").write_text("from aigc.losses.adversarial.hinge import Hinge\nclass Own(Hinge): ...\n")
    monkeypatch.setattr("aigc.losses.adversarial.__path__", [*aigc.losses.adversarial.__path__, str(tmp_path)])
    assert type(get("own_loss")).__name__ == "Own"


def test_a_wrong_name_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"no adversarial loss 'hing'\. Did you mean hinge\? Allowed: hinge, "):
        get("hing")


def test_all_public_names_are_there():
    public = {"R1", "r1_penalty", "r2_penalty", "gradient_penalty", "Hinge", "LeCam", "AdversarialLoss"}
    assert public <= set(dir(aigc.losses))
    assert all(getattr(aigc.losses, name).__name__ == name for name in dir(aigc.losses))
    assert not hasattr(aigc.losses, "nothing")


def test_names_are_known_without_torch():
    code = "import sys, aigc.losses; print(len(aigc.losses.names()), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(NAMES)), "False"]

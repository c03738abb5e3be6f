"""Memorisation: the definition, copies, vectors without direction, and torchmetrics' numbers where it has them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.image.mifid import _compute_cosine_distance, _mifid_compute

from aigc.metrics.image import memorisation, pairs
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.memorisation import memorisation_distance, mifid
from aigc.metrics.image.moments import mean_and_covariance, sums
from tests.unit.metrics.image_features import features, nearest_cosine


@pytest.mark.parametrize(("n", "m", "size"), [(30, 50, 16), (50, 30, 300), (7, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_definition_and_torchmetrics(n, m, size, dtype, monkeypatch):
    fake, real = (0.01 + features(number, size, number).to(dtype) for number in (n, m))
    monkeypatch.setattr(memorisation, "ROWS", 4)
    monkeypatch.setitem(pairs._BLOCK, "cpu", 11)
    found = memorisation_distance(fake, real)
    assert found == pytest.approx(nearest_cosine(fake, real), rel=1e-6 if dtype == torch.float32 else 1e-12)
    theirs = _compute_cosine_distance(fake.double(), real.double(), cosine_distance_eps=2.0)
    assert found == pytest.approx(float(theirs), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 20), st.integers(2, 20), st.integers(1, 6))
def test_signs_and_scales_change_nothing(seed, n, m, size):
    generator = torch.Generator().manual_seed(seed)
    fake, real = (torch.randn(number, size, generator=generator, dtype=torch.float64) for number in (n, m))
    found = memorisation_distance(fake, real)
    assert found == pytest.approx(nearest_cosine(fake, real), abs=1e-12)
    scales = torch.randn(m, 1, generator=generator, dtype=torch.float64)
    assert memorisation_distance(fake, scales * real) == pytest.approx(found, abs=1e-12)
    assert 0 <= found <= 1


def test_copies_are_at_no_distance():
    real = features(500, 64, 1)
    copies = real[torch.randperm(500, generator=torch.Generator().manual_seed(0))]
    assert memorisation_distance(copies, real) == 0
    assert memorisation_distance(-4 * copies, real) == 0
    some = memorisation_distance(torch.cat([copies, features(500, 64, 2)]), real)
    assert some == pytest.approx(memorisation_distance(features(500, 64, 2), real) / 2)


def test_near_copies_keep_their_digits():
    real = 1 + features(50, 64, 1)
    found = memorisation_distance(
        real + 1e-4 * torch.randn(real.shape, generator=torch.Generator().manual_seed(0)), real
    )
    assert 1e-10 < found < 1e-7  # 1 - cos of float32 would be a multiple of 6e-8, or negative


def test_vectors_whose_numbers_add_up_to_zero_count():
    real = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    fake = torch.tensor([[1.0, -1.0], [1.0, 0.0]])
    expected = (1 - 0.5**0.5) / 2
    assert memorisation_distance(fake, real) == pytest.approx(expected)
    dropped = _compute_cosine_distance(fake, real, cosine_distance_eps=2.0)
    assert float(dropped) != pytest.approx(expected)  # where we differ


@pytest.mark.parametrize("length", [0.0, 1e-9])
def test_zero_vectors_resemble_each_other_alone(length):
    direction = length * torch.tensor([[1.0, 1.0]])
    some, zero = torch.tensor([[1.0, 2.0], [2.0, 1.0]]), direction.repeat(2, 1)
    assert memorisation_distance(torch.cat([some, zero]), some) == pytest.approx(0.5)
    assert memorisation_distance(torch.cat([some, zero]), torch.cat([some, zero])) == pytest.approx(0)
    assert memorisation_distance(some, torch.cat([zero, some])) == pytest.approx(0)
    # Opposite vectors have no mean: the zero vector alone is short.
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert memorisation_distance(opposite, torch.zeros(2, 2)) == 1
    assert memorisation_distance(torch.zeros(2, 2), torch.zeros(3, 2)) == 0


@pytest.mark.parametrize("near", [True, False])
def test_mifid_is_torchmetrics(near):
    real = features(60, 8, 1)
    fake = (real + 0.01 if near else torch.randn(60, 8, generator=torch.Generator().manual_seed(3))).double()
    real = real.double()
    both = [mean_and_covariance(*sums(rows)) for rows in (fake, real)]
    distance = memorisation_distance(fake, real)
    found = mifid(frechet_distance(*both[0], *both[1]), distance, threshold=0.1)
    (mu1, cov1), (mu2, cov2) = both
    assert found == pytest.approx(float(_mifid_compute(mu1, cov1, fake, mu2, cov2, real)), rel=1e-6)
    assert (distance < 0.1) is near


def test_the_penalty():
    assert mifid(10, 0.05) == pytest.approx(200)
    assert mifid(10, 0.1) == mifid(10, 0.7) == 10
    assert mifid(10, 0.15, threshold=0.2) == pytest.approx(10 / 0.15)
    assert mifid(10, 0.0) == pytest.approx(1e15)
    assert mifid(10, 0.0, eps=1e-3) == pytest.approx(1e4)
    assert mifid(1e-9, 0.0) == 0

"""The Fréchet distance and the sums that it is made from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from aigc.errors import InputError
from aigc.metrics.image import moments
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.moments import mean_and_covariance, sums
from tests.unit.metrics.image_features import features


def statistics(rows):
    return mean_and_covariance(*sums(rows))


def distance(x, y):
    return frechet_distance(*statistics(x), *statistics(y))


def by_torch_fidelity(x, y):
    both = [fid_features_to_statistics(rows.double()) for rows in (x, y)]
    return fid_statistics_to_metric(*both, False)["frechet_inception_distance"]


def exact(x, y):
    """By singular values of the centred features, which squares no small number away."""
    first, second = (((rows - rows.mean(0)) / (len(rows) - 1) ** 0.5).double() for rows in (x.double(), y.double()))
    overlap = torch.linalg.svdvals(first @ second.T).sum()
    means = (x.double().mean(0) - y.double().mean(0)).square().sum()
    return float(means + first.square().sum() + second.square().sum() - 2 * overlap)


@pytest.mark.parametrize(("n", "m", "size"), [(300, 200, 64), (600, 500, 128), (5, 9, 2)])
def test_at_full_rank_it_is_torch_fidelitys(n, m, size):
    x, y = features(n, size, 1), features(m, size, 2, spread=1.3)
    assert distance(x, y) == pytest.approx(by_torch_fidelity(x, y), rel=1e-8)


@pytest.mark.parametrize(("n", "m", "size"), [(16, 20, 64), (2, 2, 256), (100, 300, 200), (300, 100, 200)])
def test_below_full_rank_it_is_exact(n, m, size):
    x, y = features(n, size, 1), features(m, size, 2, spread=1.3)
    assert distance(x, y) == pytest.approx(by_torch_fidelity(x, y), rel=1e-4)
    assert distance(x, y) == pytest.approx(exact(x, y), rel=1e-6)


def test_where_torch_fidelity_once_had_no_number():
    random = np.random.RandomState(1)
    rows = torch.from_numpy(random.randn(4, 4))
    assert distance(rows, rows) == 0
    assert distance(rows, rows + 1) == pytest.approx(4)


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 5), st.floats(0, 5))
def test_one_dimension_in_closed_form(mean, other_mean, deviation, other):
    found = frechet_distance(*(np.array(part) for part in ([mean], [[deviation**2]], [other_mean], [[other**2]])))
    assert found == pytest.approx((mean - other_mean) ** 2 + (deviation - other) ** 2, abs=1e-12)


@st.composite
def gaussians(draw):
    """Two Gaussians of up to 6 dimensions, of any rank."""
    size = draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    made = []
    for _ in range(2):
        factor = random.normal(size=(size, draw(st.integers(0, size + 2))))
        made += [random.normal(size=size), factor @ factor.T]
    return made


@settings(max_examples=60, deadline=None)
@given(gaussians(), st.floats(1e-3, 1e3), st.integers(0, 2**32))
def test_it_is_a_squared_distance(both, scale, seed):
    mu1, cov1, mu2, cov2 = both
    found = frechet_distance(*both)
    size = np.trace(cov1) + np.trace(cov2) + 1
    assert found >= 0
    assert frechet_distance(mu2, cov2, mu1, cov1) == pytest.approx(found, abs=1e-6 * size)
    scaled = frechet_distance(scale * mu1, scale**2 * cov1, scale * mu2, scale**2 * cov2)
    assert scaled == pytest.approx(scale**2 * found, abs=1e-6 * scale**2 * size)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=cov1.shape))
    turned = [turn @ cov @ turn.T for cov in (cov1, cov2)]
    even = [(cov + cov.T) / 2 for cov in turned]
    assert frechet_distance(turn @ mu1, even[0], turn @ mu2, even[1]) == pytest.approx(found, abs=1e-6 * size)


@settings(max_examples=30, deadline=None)
@given(gaussians(), st.sampled_from([1e-9, 1.0, 1e6]))
def test_a_gaussian_is_at_no_distance_from_itself(both, scale):
    mu, cov = both[0], scale * both[1]
    assert 0 <= frechet_distance(mu, cov, mu, cov) <= 1e-12 * np.trace(cov)
    moved = frechet_distance(mu, cov, mu + 1e-5, cov)
    assert moved == pytest.approx(len(mu) * 1e-10, rel=1e-4)  # what is small is not rounded away with it


@pytest.mark.slow
@pytest.mark.parametrize(("images", "scale"), [(2500, 1.0), (300, 1e6)])
def test_statistics_of_2048_dimensions_are_at_no_distance_from_themselves(images, scale):
    mean, covariance = statistics(features(images, 2048, 1, rank=64))
    assert frechet_distance(mean, scale * covariance, mean, scale * covariance) < 1e-6


def test_devices_and_dtypes_mix():
    both = [*statistics(features(40, 5, 1)), *statistics(features(50, 5, 2))]
    narrow = [part.float() if place % 2 else part.numpy() for place, part in enumerate(both)]
    assert frechet_distance(*narrow) == pytest.approx(frechet_distance(*both), rel=1e-4)


@pytest.mark.parametrize(("rows", "columns"), [(1024, 256), (3, 2), (1, 1), (7, 5)])
def test_moments_are_numpys(rows, columns, monkeypatch):
    monkeypatch.setattr("aigc.metrics.image.inputs.ROWS", rows)
    monkeypatch.setattr(moments, "_COLUMNS", columns)
    x = features(50, 11, 1)
    count, total, outer = sums(x)
    assert count == 50
    assert torch.equal(outer, outer.T)
    assert torch.allclose(outer, x.double().T @ x.double(), rtol=1e-13, atol=0)
    mean, covariance = mean_and_covariance(count, total, outer)
    assert np.allclose(mean, x.double().numpy().mean(axis=0), rtol=1e-14, atol=0)
    assert np.allclose(covariance, np.cov(x.double().numpy(), rowvar=False), rtol=1e-11, atol=1e-14)
    assert torch.equal(covariance, covariance.T)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.sampled_from([torch.float16, torch.float32]))
def test_sums_of_parts_add_up(lengths, dtype):
    x = features(sum(lengths), 7, 1).to(dtype)
    parts = [sums(part) for part in torch.split(x, lengths)]
    whole = sums(x)
    assert sum(part[0] for part in parts) == whole[0] == len(x)
    for place in (1, 2):
        added = torch.stack([part[place] for part in parts]).sum(dim=0)
        assert added.dtype == torch.float64
        assert torch.allclose(added, whole[place], rtol=1e-13, atol=1e-13)


def test_only_rounding_may_make_a_covariance_uneven():
    mean, covariance = np.zeros(3), np.diag([1.0, 2.0, 3.0])
    covariance[0, 1] = 2e-5
    assert frechet_distance(mean, covariance, mean, np.eye(3)) > 0
    covariance[0, 1] = 4e-5
    with pytest.raises(ValueError, match="cov2 is not symmetric"):
        frechet_distance(mean, np.eye(3), mean, covariance)


def test_what_has_no_moments_is_refused():
    with pytest.raises(ValueError, match=r"\(images, dimensions\)"):
        sums(torch.zeros(3))
    with pytest.raises(InputError, match="at least two images, got 1"):
        mean_and_covariance(*sums(torch.zeros(1, 3)))

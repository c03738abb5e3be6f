"""Precision, recall, density and coverage: the definitions, with borders, copies and ties."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_prc import prc_features_to_metric

from aigc.errors import InputError
from aigc.metrics.image import manifold, pairs
from aigc.metrics.image.manifold import PRDC, precision_recall_density_coverage
from tests.unit.metrics.image_features import features, lattice, prdc


@pytest.mark.parametrize(("n", "m", "size", "k"), [(700, 600, 32, 3), (400, 1500, 8, 5), (300, 300, 2048, 1)])
@pytest.mark.parametrize("spread", [0.9, 1.5])
def test_it_is_torch_fidelitys_and_the_definition(n, m, size, k, spread):
    fake, real = features(n, size, 1, spread=spread), features(m, size, 2)
    found = precision_recall_density_coverage(real, fake, k)
    assert found == prdc(real, fake, k)
    assert all(0.2 < share < 0.996 for share in (found.precision, found.recall, found.coverage))
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=k, verbose=False)
    assert found.precision == pytest.approx(theirs["precision"], abs=1e-4)
    assert found.recall == pytest.approx(theirs["recall"], abs=1e-4)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_copies_and_ties_are_exact(data):
    sizes = data.draw(st.tuples(st.integers(2, 14), st.integers(2, 14)))
    k = data.draw(st.integers(1, min(sizes) - 1))
    dimensions = data.draw(st.integers(1, 3))
    seed = data.draw(st.integers(0, 1000))
    real, fake = (lattice(size, dimensions, seed + place) for place, size in enumerate(sizes))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    shift = data.draw(st.sampled_from([0.0, 0.3, -1.1]))  # no exact number: ties hold up to rounding
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pairs._BLOCK, "cpu", data.draw(st.sampled_from([3, 5, 1024])))
        found = precision_recall_density_coverage(real.to(dtype) + shift, fake.to(dtype) + shift, k)
    assert [*found] == pytest.approx([*prdc(real, fake, k)], abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_set_covers_itself(dtype):
    rows = features(300, 64, 1).to(dtype)
    for k in (1, 5):
        # The image at the border is no part of an open ball: k images are, the centre among them.
        assert precision_recall_density_coverage(rows, rows.clone(), k) == PRDC(1, 1, 1, 1)


def with_copies(copies, seed=1):
    """Real images of which one is there `copies` times, and generated ones that are all copies of it."""
    real = features(40, 64, seed)
    real[:copies] = real[0]
    return real, real[0].repeat(20, 1)


def test_copies_of_one_image():
    for seed in range(20):
        real, fake = with_copies(4, seed)
        # Balls of radius 0 hold the copies, and nothing without its border.
        assert precision_recall_density_coverage(real, fake, 3) == prdc(real, fake, 3)
        assert precision_recall_density_coverage(real, fake, 3)[:2] == (1, 4 / 40)
        assert not precision_recall_density_coverage(real[:4], fake, 3).coverage
        real, fake = with_copies(3, seed)
        assert precision_recall_density_coverage(real, fake, 3) == prdc(real, fake, 3)


def test_without_the_tolerance_copies_would_not_be_equal(monkeypatch):
    usual = manifold.Manifold._radii
    monkeypatch.setattr(manifold.Manifold, "_radii", lambda self, which: [sum(usual(self, which)) / 2] * 2)
    sets = [with_copies(4, seed) for seed in range(20)]
    assert any(precision_recall_density_coverage(real, fake, 3) != prdc(real, fake, 3) for real, fake in sets)


def test_far_apart():
    real, fake = features(50, 8, 1), 100 + features(60, 8, 2)
    assert precision_recall_density_coverage(real, fake, 3) == PRDC(0, 0, 0, 0)


def test_density_counts_what_coverage_does_not():
    real = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    fake = torch.tensor([[0.4], [0.5], [0.6]])
    # Each fake lies in the balls of radius 1 around 0 and 1.
    assert precision_recall_density_coverage(real, fake, 1) == PRDC(1, 0, 2, 0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-2, 1e2))
def test_scale_shift_and_order_change_nothing(seed, scale):
    real, fake = features(40, 6, seed).double(), features(50, 6, seed + 1).double()
    found = precision_recall_density_coverage(real, fake, 3)
    order = torch.randperm(len(fake), generator=torch.Generator().manual_seed(seed))
    assert precision_recall_density_coverage(scale * real - 3, scale * fake[order] - 3, 3) == pytest.approx(found)


@pytest.mark.parametrize(
    ("k", "said"), [(0, "k is 0"), (5, "k is 5, but there are 5 generated images"), (9, "9 real images")]
)
def test_k_has_to_be_below_the_number_of_images(k, said):
    fake = features(5 if k == 5 else 50, 3, 1)
    with pytest.raises(InputError, match=said):
        precision_recall_density_coverage(features(9, 3, 2), fake, k)
    assert precision_recall_density_coverage(features(9, 3, 2), features(5, 3, 1), 4).recall >= 0


@pytest.mark.slow
def test_thousands_of_images_are_torch_fidelitys():
    fake, real = features(6000, 128, 1, rank=32, spread=1.1), features(5000, 128, 2, rank=32)
    found = precision_recall_density_coverage(real, fake, 3)
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    assert found.precision == pytest.approx(theirs["precision"], abs=1e-4)
    assert found.recall == pytest.approx(theirs["recall"], abs=1e-4)
    doubled = precision_recall_density_coverage(real.double(), fake.double(), 3)
    assert found == pytest.approx(doubled, abs=1e-4)

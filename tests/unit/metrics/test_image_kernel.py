"""The kernel distance: torch-fidelity's numbers, and more digits of them."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from aigc.errors import InputError
from aigc.metrics.image import kernel
from aigc.metrics.image.kernel import KernelSums, kernel_distance
from aigc.metrics.image.pairs import visit_pairs
from tests.unit.metrics.image_features import features, kid


def by_torch_fidelity(x, y, subsets, size, seed):
    options = {"kid_subsets": subsets, "kid_subset_size": size, "rng_seed": seed, "verbose": False}
    found = kid_features_to_metric(x, y, **options)
    return found["kernel_inception_distance_mean"], found["kernel_inception_distance_std"]


SHAPES = [
    (400, 300, 64, 10, 100, 2020),
    (300, 400, 2048, 5, 100, 1),
    (200, 200, 16, 3, 200, 2020),
    (1200, 1100, 32, 2, 50, 7),
]


@pytest.mark.parametrize(("n", "m", "size", "subsets", "subset_size", "seed"), SHAPES)
def test_it_is_torch_fidelitys(n, m, size, subsets, subset_size, seed):
    x, y = features(n, size, 1, spread=1.3), features(m, size, 2)
    options = (subsets, subset_size, seed)
    exact = kid(x, y, *options)
    found = kernel_distance(x, y, *options)
    assert found == pytest.approx(exact, abs=1e-6 * exact[0])
    assert found == pytest.approx(by_torch_fidelity(x, y, *options), abs=1e-4 * exact[0])
    assert kernel_distance(x.double(), y.double(), *options) == pytest.approx(exact, abs=1e-12 * exact[0])


@pytest.mark.parametrize(("n", "m", "size", "subsets", "subset_size", "seed"), SHAPES)
def test_both_ways_agree(n, m, size, subsets, subset_size, seed):
    x, y = features(n, size, 1, spread=1.3), features(m, size, 2)
    sums = KernelSums(subsets, subset_size, seed)
    visit_pairs(x, y, [sums])
    alone = kernel._one_by_one(x, y, sums).numpy()
    assert (alone.mean(), alone.std()) == pytest.approx(sums.result(), abs=1e-6 * sums.result()[0])


def test_the_cheaper_way_is_gone(monkeypatch):
    calls = []
    usual = kernel._one_by_one
    monkeypatch.setattr(kernel, "_one_by_one", lambda *given: calls.append(1) or usual(*given))
    x, y = features(100, 4, 1), features(100, 4, 2)
    kernel_distance(x, y, subsets=3, subset_size=20)
    assert len(calls) == 1
    kernel_distance(x, y, subsets=30, subset_size=100)
    assert len(calls) == 1


def test_a_comparison_by_this_measure_alone_goes_the_cheaper_way(monkeypatch):
    from aigc.metrics.image import KernelDistance, Statistics, compare

    monkeypatch.setattr(kernel, "visit_pairs", usual := kernel.visit_pairs)
    mean, one = torch.zeros(4, dtype=torch.float64), torch.eye(4, dtype=torch.float64)
    x, y = (Statistics("", "", "", n, mean, one, None, features(n, 4, n).float()) for n in (200, 300))
    sizes = []
    monkeypatch.setattr(kernel, "visit_pairs", lambda a, b, c: sizes.append(len(a)) or usual(a, b, c))
    values, _ = compare([KernelDistance(subsets=3, subset_size=20)], x, y)
    assert sizes == [20, 20, 20]
    found = kernel_distance(x.features, y.features, subsets=3, subset_size=20)
    assert tuple(values.values()) == found


def test_small_sets_clip_the_subsets():
    x, y = features(40, 8, 1), features(60, 8, 2)
    found = kernel_distance(x, y, subsets=5)
    assert found == kernel_distance(x, y, subsets=5, subset_size=40)
    assert found == pytest.approx(kid(x, y, 5, 40, 2020), rel=1e-6)
    mean, deviation = kernel_distance(x, features(40, 8, 3), subsets=5)
    assert deviation == pytest.approx(0, abs=1e-6 * abs(mean))  # each subset is all images


def test_it_is_unbiased():
    same = [kernel_distance(features(200, 16, seed), features(200, 16, 100 + seed), 1)[0] for seed in range(40)]
    error = np.std(same) / np.sqrt(len(same) - 1)
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * error
    other = kernel_distance(features(200, 16, 1), features(200, 16, 2, spread=1.3), 1)[0]
    assert other > 20 * error  # what is no rounding and no chance


def test_an_offset_costs_few_digits():
    x, y = (10 + 0.1 * features(300, 64, seed, spread=spread) for seed, spread in ((1, 1.3), (2, 1.0)))
    exact = kid(x, y, 3, 100, 2020)
    ours = abs(kernel_distance(x, y, 3, 100)[0] / exact[0] - 1)
    plain = abs(by_torch_fidelity(x, y, 3, 100, 2020)[0] / exact[0] - 1)
    assert ours < 1e-4
    assert ours < plain / 20  # negative control: sums of the kernel itself


def test_draws_are_the_seeds():
    x, y = features(100, 8, 1), features(100, 8, 2)
    assert kernel_distance(x, y, 3, 50) == kernel_distance(x, y, 3, 50, seed=2020)
    assert kernel_distance(x, y, 3, 50) != kernel_distance(x, y, 3, 50, seed=2021)
    state = np.random.get_state()[1].copy()
    kernel_distance(x, y, 3, 50)
    assert (np.random.get_state()[1] == state).all()  # the run's own random numbers are left alone


@pytest.mark.parametrize(
    ("options", "said"),
    [({"subsets": 0}, "subsets is 0, it must be at least 1"), ({"subset_size": 1}, "subset_size is 1")],
)
def test_what_cannot_be_drawn_is_said(options, said):
    with pytest.raises(InputError, match=said):
        kernel_distance(torch.zeros(5, 2), torch.zeros(5, 2), **options)

"""One pass over all pairs: each once, precisely, whatever the blocks and the settings."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.metrics.image import pairs
from aigc.metrics.image.kernel import KernelSums
from aigc.metrics.image.manifold import Manifold
from aigc.metrics.image.memorisation import NearestCosine
from aigc.metrics.image.pairs import PairConsumer, visit_pairs
from tests.unit.metrics.image_features import features


class Recorder(PairConsumer):
    """Puts the blocks together again: dot products of the features themselves, and how often each pair came."""

    def start(self, sets):
        self.sets = sets
        shapes = [(len(sets[first]), len(sets[second])) for first, second in ((0, 0), (1, 1), (0, 1))]
        self.dots = [torch.full(shape, torch.nan, dtype=torch.float64) for shape in shapes]
        self.times = [torch.zeros(shape, dtype=torch.int64) for shape in shapes]
        self.dtype = None

    def within(self, which, rows, columns, dots):
        assert (self.times[2] == 0).all()  # all pairs within come before those between
        self._put(which, (which, which), rows, columns, dots)

    def between(self, rows, columns, dots):
        self._put(2, (0, 1), rows, columns, dots)

    def _put(self, place, of, rows, columns, dots):
        first, second = self.sets[of[0]].shifts()[rows], self.sets[of[1]].shifts()[columns]
        offset = self.sets[0].centre.double().square().sum()
        self.dots[place][rows, columns] = dots.double() + first[:, None] + second + offset
        self.times[place][rows, columns] += 1
        self.dtype = dots.dtype


class BetweenOnly(Recorder):
    needs_within = False


def seen(x, y, kind=Recorder):
    recorder = kind()
    visit_pairs(x, y, [recorder])
    return recorder


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 13), st.sampled_from([torch.float32, torch.float64]))
def test_each_pair_comes_once(n, m, block, dtype):
    x, y = features(n, 5, 1).to(dtype), features(m, 5, 2).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(pairs._BLOCK, "cpu", block)
        found = seen(x, y)
    assert (found.times[2] == 1).all()
    for which, points in enumerate((x, y)):
        number = torch.arange(len(points)) // block
        assert torch.equal(found.times[which] == 1, number[:, None] <= number)  # the blocks of the upper triangle
        assert found.times[which].max() == 1
    assert found.dtype == dtype
    for dots, first, second in zip(found.dots, (x, y, x), (x, y, y), strict=True):
        there = ~dots.isnan()
        expected = first.double() @ second.double().T
        tolerance = 1e-5 if dtype == torch.float32 else 1e-13
        assert torch.allclose(dots[there], expected[there], rtol=tolerance, atol=tolerance)


def test_pairs_within_are_left_out_where_nobody_looks(monkeypatch):
    x, y = features(9, 5, 1), features(8, 5, 2)
    alone = seen(x, y, BetweenOnly)
    assert [int(times.sum()) for times in alone.times] == [0, 0, 72]
    recorder, other = Recorder(), BetweenOnly()
    visit_pairs(x, y, [other, recorder])
    assert [int(times.sum()) for times in other.times] == [0, 0, 72]
    assert [int(times.sum()) for times in recorder.times] == [81, 64, 72]


def test_measures_share_a_pass_without_disturbing_each_other():
    x, y = features(120, 16, 1), features(130, 16, 2)
    together = [KernelSums(5, 50), Manifold(3), NearestCosine()]
    visit_pairs(x, y, together)
    for consumer, alone in zip(together, (KernelSums(5, 50), Manifold(3), NearestCosine()), strict=True):
        visit_pairs(x, y, [alone])
        assert alone.result() == consumer.result()
        visit_pairs(y, x, [alone])  # a consumer begins anew with each pass
        visit_pairs(x, y, [alone])
        assert alone.result() == consumer.result()


def test_blocks_change_no_number(monkeypatch):
    x, y = features(120, 16, 1), features(130, 16, 2)
    found = []
    for block in (1024, 50, 7):
        monkeypatch.setitem(pairs._BLOCK, "cpu", block)
        consumers = [KernelSums(5, 50), Manifold(10), NearestCosine()]
        visit_pairs(x, y, consumers)
        found.append([consumer.result() for consumer in consumers])
    for other in found[1:]:
        assert other[0] == pytest.approx(found[0][0], rel=1e-5)
        assert other[1] == found[0][1]
        assert other[2] == pytest.approx(found[0][2], rel=1e-12)


@pytest.mark.parametrize(
    ("x_type", "y_type", "scale", "expected"),
    [
        (torch.float32, torch.float32, 1, torch.float32),
        (torch.float16, torch.bfloat16, 1, torch.float32),
        (torch.float32, torch.float64, 1, torch.float64),
        (torch.float32, torch.float32, 1e10, torch.float64),
        (torch.float32, torch.float32, -1e10, torch.float64),
        (torch.float32, torch.float32, 1e-12, torch.float64),
    ],
)
def test_float32_where_it_suffices(x_type, y_type, scale, expected):
    x, y = scale * features(9, 5, 1), scale * features(8, 5, 2)
    assert seen(x.to(x_type), y.to(y_type)).dtype == expected
    assert seen(y.to(y_type), x.to(x_type)).dtype == expected


@pytest.mark.parametrize("size", [1e10, -1e10])
def test_one_large_number_on_either_side_takes_float64(size):
    x, y = features(9, 5, 1), features(8, 5, 2)
    y[3, 2] = size
    assert seen(x, y).dtype == seen(y, x).dtype == torch.float64


def test_reduced_precision_does_not_reach_distances():
    x, y = features(50, 64, 1), features(40, 64, 2)
    plain = seen(x, y).dots[2]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (x @ y.T).dtype == torch.bfloat16  # what would be lost
        assert torch.equal(seen(x, y).dots[2], plain)
    try:
        torch.set_float32_matmul_precision("medium")
        assert seen(x, y).dtype == torch.float64
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen(x, y).dtype == torch.float32


def test_two_answers_about_precision_count_as_reduced(monkeypatch):
    def refused():
        raise RuntimeError("legacy and new APIs are mixed")

    monkeypatch.setattr(torch, "get_float32_matmul_precision", refused)
    assert seen(features(9, 5, 1), features(8, 5, 2)).dtype == torch.float64


def test_the_centre_keeps_digits_that_plain_products_lose():
    x, y = (100 + features(40, 64, seed) for seed in (1, 2))
    exact = x.double() @ y.double().T
    ours = (seen(x, y).dots[2] - exact).abs().max()
    plain = ((x @ y.T).double() - exact).abs().max()
    assert ours < plain / 20


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same():
    x, y = features(3000, 64, 1), features(2500, 64, 2)
    found = []
    for device in ("cpu", "cuda"):
        consumers = [KernelSums(5, 500), Manifold(3), NearestCosine()]
        visit_pairs(x.to(device), y, consumers)
        found.append([consumer.result() for consumer in consumers])
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-5)
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-3)
    assert found[1][2] == pytest.approx(found[0][2], rel=1e-6)

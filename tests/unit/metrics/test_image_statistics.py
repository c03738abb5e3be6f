"""Image statistics are the same for any batches and ranks, and know what they were made of."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.image import (
    FeatureStatistics,
    FrechetDistance,
    KernelDistance,
    Statistics,
    compare,
    is_statistics,
    read_statistics,
    smallest,
    write_statistics,
)
from aigc.metrics.image.extractors import Extracted
from tests.launch.modules import run_module
from tests.unit.metrics.image_ranks import NUMBER, WORLDS, Linear, random_images


def collected(splits, keep=False, reservoir=50_000, seed=2):
    """Statistics of the images, which come in these batches of numbers; what a network rounds is not looked at."""
    statistics = FeatureStatistics(Linear(), keep, reservoir)
    features, logits = Linear()(random_images(seed))
    for numbers in splits:
        statistics.add(Extracted(features[numbers], logits[numbers]), numbers)
    return statistics.compute()


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(NUMBER)), st.lists(st.integers(1, NUMBER - 1), max_size=5), st.integers(2, NUMBER))
def test_order_and_batches_do_not_matter(order, cuts, reservoir):
    whole = collected([torch.arange(NUMBER)], keep=True, reservoir=reservoir)
    parts = [part for part in torch.tensor(order).tensor_split(sorted(cuts)) if len(part)]
    split = collected(parts, keep=True, reservoir=reservoir)
    assert split.count == whole.count == NUMBER
    torch.testing.assert_close(split.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(split.covariance, whole.covariance, rtol=1e-10, atol=1e-10)
    assert torch.equal(split.indices, whole.indices)
    assert len(split.indices) == min(reservoir, NUMBER)
    torch.testing.assert_close(split.features, whole.features)
    torch.testing.assert_close(split.logits, whole.logits)


def test_mean_and_covariance_are_those_of_the_features():
    features = Linear()(random_images(2)).features.double()
    found = collected([torch.arange(NUMBER)])
    torch.testing.assert_close(found.mean, features.mean(0))
    torch.testing.assert_close(found.covariance, torch.cov(features.T))


def test_a_reservoir_that_is_passed_often_keeps_what_one_draw_keeps():
    numbers = torch.arange(5000)
    statistics = FeatureStatistics(Linear(), keep=True, reservoir=30)
    for part in numbers.split(7):
        statistics.add(Extracted(part[:, None].float().repeat(1, 5), torch.zeros(len(part), 4)), part)
    found = statistics.compute()
    assert found.indices.tolist() == smallest(numbers.numpy(), 30).tolist()
    assert found.features[:, 0].long().tolist() == found.indices.tolist()
    assert sum(len(part) for part in statistics.kept) <= 60


def test_a_draw_is_even_and_depends_on_the_seed():
    drawn = smallest(np.arange(10_000), 1000)
    assert abs(drawn.mean() - 5000) < 300
    assert set(drawn) != set(smallest(np.arange(10_000), 1000, seed=1))


def test_indices_beyond_float32_are_kept():
    statistics = FeatureStatistics(Linear(), keep=True)
    far = torch.tensor([2**24 + 1, 2**30 + 3])
    statistics.update(random_images(2)[:2], far)
    assert statistics.compute().indices.tolist() == far.tolist()


def test_the_extractor_is_in_no_checkpoint():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.statistics = FeatureStatistics(Linear(), keep=True)

    module = Module()
    module.statistics.update(random_images(2))
    assert not module.state_dict()
    assert [name for name, _ in module.named_modules()] == ["", "statistics"]


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_images_are_an_error(number):
    statistics = FeatureStatistics(Linear())
    statistics.update(random_images(2)[:number])
    with pytest.raises(InputError, match="at least two images"):
        statistics.compute()


def test_features_that_are_not_finite_name_the_image():
    statistics = FeatureStatistics(Linear())
    features = torch.zeros(3, 5)
    features[1, 2] = float("nan")
    with pytest.raises(InputError, match="image 17 "):
        statistics.add(Extracted(features, None), torch.tensor([5, 17, 18]))


def test_a_state_reset_in_inference_mode_can_go_on_outside():
    statistics = FeatureStatistics(Linear())
    with torch.inference_mode():
        statistics.reset()
    statistics.update(random_images(2))
    assert statistics.compute().count == NUMBER


def test_without_a_part_the_rest_is_left():
    whole, part = collected([torch.arange(NUMBER)]), collected([torch.arange(20)])
    rest, expected = whole.without(part), collected([torch.arange(20, NUMBER)])
    assert rest.count == 40
    torch.testing.assert_close(rest.mean, expected.mean, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(rest.covariance, expected.covariance, rtol=1e-8, atol=1e-8)


def test_a_file_gives_everything_back(tmp_path):
    made = collected([torch.arange(NUMBER)], keep=True)
    write_statistics(tmp_path / "a.npz", made)
    assert is_statistics(tmp_path / "a.npz")
    back = read_statistics(tmp_path / "a.npz")
    for name in ("suffix", "description", "identity", "count"):
        assert getattr(back, name) == getattr(made, name)
    for name in ("mean", "covariance", "indices", "features", "logits"):
        assert torch.equal(getattr(back, name), getattr(made, name))


def test_files_of_others_are_read(tmp_path):
    features = np.random.default_rng(0).normal(size=(50, 5))
    np.savez(tmp_path / "pytorch_fid.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    np.savez(tmp_path / "clean_fid_kid.npz", feats=features)
    np.savez(tmp_path / "images.npz", images=np.zeros((2, 4, 4, 3), np.uint8))
    assert [is_statistics(path) for path in sorted(tmp_path.iterdir())] == [True, False, True]
    one, other = read_statistics(tmp_path / "pytorch_fid.npz"), read_statistics(tmp_path / "clean_fid_kid.npz")
    assert (one.count, one.features, other.count) == (None, None, 50)
    assert other.features.dtype == torch.float32
    swapped = {name: array.astype(">f4") for name, array in (("mu", features.mean(0)), ("sigma", np.eye(5)))}
    np.savez(tmp_path / "swapped.npz", count=np.array([50.0]), **swapped)
    again = read_statistics(tmp_path / "swapped.npz")
    assert again.count == 50
    torch.testing.assert_close(again.mean, one.mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(one.covariance, other.covariance)
    generated = collected([torch.arange(NUMBER)], keep=True)
    assert compare([FrechetDistance()], generated, one)[0]["fid_linear"] > 0
    with pytest.raises(InputError, match="hold no features"):
        compare([KernelDistance()], generated, one)


MU, SIGMA = {"mu": np.zeros(3)}, {"sigma": np.eye(3)}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "it has no mu and no sigma, only nothing"),
        (MU, "it has no sigma, only mu"),
        (MU | SIGMA | {"count": np.array([3, 4])}, r"count holds int64 of shape \(2,\)"),
        (MU | SIGMA | {"count": np.array("many")}, "count holds <U4"),
        (MU | SIGMA | {"count": np.array(np.nan)}, "count is nan"),
        (MU | SIGMA | {"count": np.array(2.5)}, "count is 2.5"),
        (MU | SIGMA | {"count": np.array(1)}, "count is 1: .* at least 2"),
        ({"mu": np.array(["a", "b", "c"])} | SIGMA, "mu holds <U1: expected numbers"),
        (MU | {"sigma": np.eye(3) * 1j}, "sigma holds complex128"),
        (MU | {"sigma": np.eye(3) + np.eye(3, k=1)}, "sigma is not symmetric"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"mu of shape \(0,\)"),
        (MU | SIGMA | {"feats": np.zeros((4, 2))}, "feats have 2 dimensions, but mu has 3"),
        (MU | SIGMA | {"feats": np.zeros(3)}, r"feats has the shape \(3,\)"),
        (MU | SIGMA | {"feats": np.full((4, 3), np.inf)}, "feats holds numbers that are not finite"),
        (MU | SIGMA | {"feats": np.zeros((4, 3)), "logits": np.zeros((5, 2))}, "feats 4, logits 5"),
        (MU | SIGMA | {"feats": np.zeros((4, 3)), "indices": np.arange(3)}, "feats 4, indices 3"),
        (MU | SIGMA | {"feats": np.zeros((4, 3)), "indices": np.zeros(4)}, "indices holds float64: expected whole"),
        ({"feats": np.zeros((1, 3))}, r"feats of shape \(1, 3\): .*at least two"),
        ({"feats": np.zeros((4, 3)).astype(str)}, "feats holds <U32"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 2))}, r"mu of shape \(3,\) and sigma of shape \(2, 2\)"),
        ({"mu": np.full(3, np.nan), "sigma": np.zeros((3, 3))}, "not finite"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8)}, "it has no mu and no sigma, only images"),
    ],
)
def test_other_files_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=rf"a\.npz: .*{said}"):
        read_statistics(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"no archive"])
def test_a_damaged_file_is_named(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    assert not is_statistics(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a\.npz: cannot be read"):
        read_statistics(tmp_path / "a.npz")


def test_statistics_of_other_extractors_are_not_compared():
    made = collected([torch.arange(NUMBER)])
    wide = Statistics("", "other", "x", 9, torch.zeros(6, dtype=torch.float64), torch.eye(6, dtype=torch.float64))
    with pytest.raises(InputError, match="5 dimensions"):
        compare([FrechetDistance()], made, wide)
    same = Statistics("", "other", "x", 9, made.mean, made.covariance)
    with pytest.raises(InputError, match="different networks"):
        compare([FrechetDistance()], made, same)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    place = tmp_path_factory.mktemp("ranks")
    run_module("tests.unit.metrics.image_ranks", place)
    return {path.stem: torch.load(path) for path in place.glob("*.pt")}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["all", "some", "none"])
def test_ranks_find_what_one_process_finds(ranks, what):
    alone = ranks["1-0"][what]
    assert alone["values"]["fid_linear"] > 0
    assert len(ranks) == sum(WORLDS)
    for found in ranks.values():
        for when in (what, f"{what} again"):
            assert found[when]["values"] == pytest.approx(alone["values"], rel=1e-9)
            assert found[when]["kept"] == alone["kept"]
            assert found[when]["signatures"] == alone["signatures"]


@pytest.mark.slow
def test_sums_cost_one_all_reduce(ranks):
    assert ranks["3-1"]["none"]["calls"].count("all_reduce") == 1
    assert ranks["3-1"]["all"]["calls"].count("all_reduce") == 1
    assert ranks["3-1"]["all"]["calls"].count("all_gather") == 2


def test_public_names_are_what_they_say():
    """A submodule of a function's name would hide the function once it is imported."""
    import types

    import aigc.metrics.image
    from aigc.metrics.image import comparison, feature_statistics, frechet  # noqa: F401

    for name in ("frechet_distance", "kernel_distance", "inception_score", "FeatureStatistics", "compare", "Vendi"):
        assert not isinstance(getattr(aigc.metrics.image, name), types.ModuleType), name

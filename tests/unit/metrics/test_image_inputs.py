"""What measures of images refuse, and that they take features in any form."""

import warnings

import numpy as np
import pytest
import torch

from aigc.errors import InputError
from aigc.metrics.image.frechet import frechet_distance
from aigc.metrics.image.inception_scores import inception_score
from aigc.metrics.image.inputs import as_features, where_float64_is
from aigc.metrics.image.kernel import kernel_distance
from aigc.metrics.image.manifold import precision_recall_density_coverage
from aigc.metrics.image.memorisation import memorisation_distance
from aigc.metrics.image.vendi import vendi_score
from tests.unit.metrics.image_features import features

OF_TWO = (kernel_distance, memorisation_distance, lambda x, y: precision_recall_density_coverage(y, x, 2))
OF_ONE = (vendi_score, lambda x: inception_score(x, 2))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_image_that_is_not_finite_is_named(bad):
    good, broken = features(30, 4, 1), features(30, 4, 2)
    broken[17, 3] = broken[20, 0] = bad
    for measure in OF_TWO:
        with pytest.raises(InputError, match=r"^generated: features of image 17 are not finite"):
            measure(broken, good)
        with pytest.raises(InputError, match=r"^real: features of image 17 are not finite"):
            measure(good, broken)
    with pytest.raises(InputError, match=r"^features of image 17 are not finite"):
        vendi_score(broken)
    with pytest.raises(InputError, match=r"^logits of image 17 are not finite"):
        inception_score(broken)


def test_one_image_is_too_few():
    for measure in OF_TWO:
        with pytest.raises(InputError, match="at least two images are needed, got 1"):
            measure(features(1, 4, 1), features(5, 4, 2))
    for measure in OF_ONE:
        with pytest.raises(InputError, match="at least two images are needed, got 0"):
            measure(torch.zeros(0, 4))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (torch.zeros(4), ValueError, r"\(images, dimensions\), got \(4,\)"),
        (torch.zeros(4, 0), ValueError, r"got \(4, 0\)"),
        (torch.zeros(4, 3, 2), ValueError, r"got \(4, 3, 2\)"),
        (torch.zeros(4, 3, dtype=torch.uint8), TypeError, "floating numbers, got torch.uint8"),
        (np.zeros((4, 3), dtype=np.int64), TypeError, "floating numbers"),
        ([[1.0, 2.0]], TypeError, "an array or a tensor, got a list"),
    ],
)
def test_what_is_no_row_of_numbers_per_image_is_refused(given, error, said):
    for measure in OF_ONE:
        with pytest.raises(error, match=said):
            measure(given)
    with pytest.raises(error, match=said):
        kernel_distance(given, features(4, 3, 1))


def test_sets_of_different_extractors_are_refused():
    for measure in OF_TWO:
        with pytest.raises(ValueError, match="generated: features have 4 dimensions, but those of real have 5"):
            measure(features(6, 4, 1), features(6, 5, 1))


def awkward_arrays(rows):
    """The same numbers as arrays whose memory a tensor cannot share as it is."""
    frozen = rows.copy()
    frozen.flags.writeable = False
    return [rows, frozen, rows[::-1].copy()[::-1], np.asfortranarray(rows), rows.astype(">f4")]


def test_arrays_and_tensors_give_the_same_numbers():
    x, y = features(40, 6, 1), features(50, 6, 2)
    for measure in OF_TWO:
        expected = measure(x, y)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for array in awkward_arrays(x.numpy()):
                assert measure(array, y.numpy()) == expected
        assert measure(x.clone().requires_grad_(), y) == expected
        assert measure(x.double(), y.numpy().astype(np.float64)) == pytest.approx(expected, rel=1e-5)
    for measure in OF_ONE:
        assert all(measure(array) == measure(x) for array in awkward_arrays(x.numpy()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    x, y = features(40, 6, 1).to(dtype), features(50, 6, 2).to(dtype)
    for measure in OF_TWO:
        assert measure(x, y) == measure(x.float(), y.float())
    for measure in OF_ONE:
        assert measure(x) == measure(x.float())
    assert as_features(x).dtype == torch.float32


def test_gradients_end_here():
    x = features(40, 6, 1).requires_grad_()
    assert not as_features(x).requires_grad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(measure(x) == measure(x.detach()) for measure in OF_ONE)


def test_features_are_not_changed():
    x, y = features(40, 6, 1), features(50, 6, 2)
    kept = x.clone(), y.clone()
    for measure in OF_TWO:
        measure(x, y)
    for measure in OF_ONE:
        measure(x)
    assert torch.equal(x, kept[0])
    assert torch.equal(y, kept[1])


def test_devices_without_float64_are_left():
    assert where_float64_is(torch.zeros(2)).device.type == "cpu"

    class OnMps:
        device = torch.device("mps")

        def cpu(self):
            return "on the processor"

    assert where_float64_is(OnMps()) == "on the processor"


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"mu1": np.zeros(3)}, ValueError, "mu1 has 3 dimensions, but cov1 has 2"),
        ({"mu2": np.zeros(3), "cov2": np.eye(3)}, ValueError, "mu1 has 2 dimensions, but mu2 has 3"),
        ({"mu1": np.zeros((2, 2))}, ValueError, r"mu1 must have the shape \(dimensions,\), got \(2, 2\)"),
        ({"cov2": np.zeros((2, 3))}, ValueError, r"cov2 must have the shape \(dimensions, dimensions\), got \(2, 3\)"),
        ({"mu1": np.zeros(0), "cov1": np.zeros((0, 0))}, ValueError, r"mu1 must have the shape"),
        ({"cov1": np.array([[1.0, 0.5], [0.4, 1.0]])}, ValueError, "cov1 is not symmetric"),
        ({"mu2": np.array([np.nan, 0])}, InputError, "mu2 holds numbers that are not finite"),
        ({"cov1": np.full((2, 2), np.inf)}, InputError, "cov1 holds numbers that are not finite"),
        ({"cov1": np.eye(2, dtype=np.int64)}, TypeError, "cov1 must be floating numbers"),
    ],
)
def test_what_is_no_gaussian_is_refused(change, error, said):
    good = {"mu1": np.zeros(2), "cov1": np.eye(2), "mu2": np.zeros(2), "cov2": np.eye(2)}
    assert frechet_distance(**good) == 0
    with pytest.raises(error, match=said):
        frechet_distance(**good | change)

"""Scores of one set of images: the inception score and the Vendi score."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric

from aigc.errors import InputError
from aigc.metrics.image.inception_scores import inception_score
from aigc.metrics.image.vendi import vendi_score
from tests.unit.metrics.image_features import features


def logits(images, classes, seed):
    return 3 * torch.randn(images, classes, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("images", "splits"), [(100, 10), (95, 10), (12, 10), (10, 10), (50, 1)])
@pytest.mark.parametrize("seed", [None, 2020, 1])
def test_the_inception_score_is_torch_fidelitys(images, splits, seed):
    rows = logits(images, 40, 1)
    theirs = isc_features_to_metric(rows, splits, shuffle=seed is not None, rng_seed=seed)
    mean, deviation = inception_score(rows, splits, seed)
    assert mean == pytest.approx(theirs["inception_score_mean"], rel=1e-12)
    assert deviation == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


def test_equal_predictions_score_one_and_sure_different_ones_the_number_of_classes():
    assert inception_score(logits(1, 7, 1).repeat(20, 1), 4) == pytest.approx((1, 0))
    assert inception_score(100 * torch.eye(8).repeat(6, 1), 3) == pytest.approx((8, 0))


def test_an_impossible_class_has_no_part_in_it():
    rows = logits(20, 5, 1)
    impossible = torch.cat([rows, torch.full((20, 1), -1e4)], dim=1)
    assert inception_score(impossible, 2) == pytest.approx(inception_score(rows, 2))
    assert np.isnan(isc_features_to_metric(impossible, 2, False)["inception_score_mean"])  # where we differ


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 30), st.integers(1, 12), st.integers(0, 100), st.floats(-50, 50))
def test_the_inception_score_lies_between_one_and_the_number_of_classes(images, classes, seed, shift):
    rows = logits(images, classes, seed)
    mean, _ = inception_score(rows, 2)
    assert 1 - 1e-9 <= mean <= classes + 1e-9
    assert inception_score(rows.double() + shift, 2)[0] == pytest.approx(mean)


@pytest.mark.parametrize("splits", [0, -1, 6])
def test_more_splits_than_images_are_refused(splits):
    with pytest.raises(InputError, match=f"splits is {splits}: give a number from 1 to that of the images, 5"):
        inception_score(logits(5, 3, 1), splits)


def by_definition(rows):
    """From the matrix of the cosines of all pairs."""
    unit = rows.double().numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(unit @ unit.T / len(unit))
    shares = shares[shares > 1e-13]
    return float(np.exp(-np.sum(shares * np.log(shares))))


@pytest.mark.parametrize(("images", "size"), [(30, 50), (50, 30), (40, 40), (2100, 5), (3, 1)])
def test_the_vendi_score_is_the_definition(images, size):
    rows = features(images, size, 1) + 0.01
    assert vendi_score(rows) == pytest.approx(by_definition(rows), rel=1e-9)


def test_alike_images_count_as_one_and_orthogonal_ones_each():
    one = features(1, 20, 1) + 0.01
    scales = torch.rand(30, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    assert vendi_score(scales * one) == pytest.approx(1, abs=1e-5)
    assert vendi_score(scales.double() * one.double()) == pytest.approx(1, abs=1e-12)
    assert vendi_score(3 * torch.eye(12)) == pytest.approx(12)
    assert vendi_score(torch.eye(12)[:5]) == pytest.approx(5)
    assert vendi_score(torch.eye(4).repeat(9, 1)) == pytest.approx(4)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), st.integers(1, 20), st.integers(0, 1000))
def test_showing_all_images_again_changes_no_vendi_score(images, size, seed):
    rows = torch.randn(images, size, generator=torch.Generator().manual_seed(seed))
    found = vendi_score(rows)
    assert 1 - 1e-9 <= found <= min(images, size) + 1e-9
    assert vendi_score(rows.repeat(3, 1)) == pytest.approx(found)
    assert vendi_score(-0.5 * rows) == pytest.approx(found)


def test_zero_vectors_are_one_direction_more():
    zero = torch.zeros(2, 4)
    assert vendi_score(zero) == 1
    shares = [2 / 6] + [1 / 6] * 4  # two zero vectors alike, and four orthogonal ones
    expected = np.exp(-sum(share * np.log(share) for share in shares))
    assert vendi_score(torch.cat([zero, torch.eye(4)])) == pytest.approx(expected)

"""Floats from -1 to 1 and bytes from 0 to 255, there and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.metrics.image.quantisation import dequantise, quantise

LEVELS = torch.arange(256, dtype=torch.uint8)
FLOATS = [torch.float32, torch.float64, torch.bfloat16, torch.float16]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_every_level_survives(dtype: torch.dtype) -> None:
    stored = (LEVELS.double() / 127.5 - 1).to(dtype)
    assert stored.unique().numel() == 256
    assert torch.equal(quantise(stored), LEVELS)
    assert torch.equal(quantise(dequantise(LEVELS).to(dtype)), LEVELS)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_truncation_would_lose_levels(dtype: torch.dtype) -> None:
    """Negative control: what `.byte()` makes of the same values."""
    stored = (LEVELS.double() / 127.5 - 1).to(dtype)
    assert int(((stored.float() + 1) * 127.5).byte().ne(LEVELS).sum()) > 10


def test_bfloat16_products_would_lose_levels() -> None:
    """Negative control: the same formula, computed in the dtype of the images."""
    stored = dequantise(LEVELS).bfloat16()
    assert int(((stored + 1) * 127.5).round().clamp(0, 255).byte().ne(LEVELS).sum()) == 16


@given(st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=20))
def test_each_value_gets_the_nearest_level(values: list[float]) -> None:
    found = quantise(torch.tensor(values))
    assert found.dtype == torch.uint8
    for value, level in zip(values, found.tolist(), strict=True):
        # Half a level, and the rounding of a product in float32.
        assert abs(level - min(max((value + 1) * 127.5, 0), 255)) <= 0.5 + 1e-4


def test_infinities_are_cut_off() -> None:
    assert quantise(torch.tensor([-torch.inf, -1.1, 1.1, torch.inf])).tolist() == [0, 0, 255, 255]


def test_the_images_stay_as_they_are() -> None:
    images = torch.randn(2, 3, 4, 4)
    before = images.clone()
    quantise(images)
    assert torch.equal(images, before)


def test_nan_is_named_by_image() -> None:
    images = torch.zeros(9, 3, 2, 2)
    images[4, 1, 0, 1] = torch.nan
    with pytest.raises(InputError, match=r"image 4 holds NaN, counted from 0 in a batch of 9"):
        quantise(images)
    images[[0, 2, 3, 5, 8], 0] = torch.nan
    with pytest.raises(InputError, match=r"6 images \(0, 2, 3, 4, 5 \.\.\.\) hold NaN"):
        quantise(images)
    with pytest.raises(InputError, match="image 0 holds NaN"):
        quantise(torch.tensor(torch.nan))


def test_bytes_and_floats_are_not_mistaken_for_each_other() -> None:
    with pytest.raises(InputError, match=r"floats from -1 to 1, not torch\.uint8"):
        quantise(LEVELS)
    with pytest.raises(InputError, match=r"uint8 from 0 to 255, not torch\.float32"):
        dequantise(torch.zeros(3))


def test_an_empty_batch_stays_empty() -> None:
    assert quantise(torch.zeros(0, 3, 8, 8)).shape == (0, 3, 8, 8)

"""Filtered resampling against its definition."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from aigc.models.images.gan import resampling
from aigc.models.images.gan.resampling import Resample, downsampler, upsampler

BOTH_WAYS = pytest.mark.parametrize("dense", [0, 128], ids=["convolution", "matrix"])


def by_definition(maps, up, down, padding, taps):
    """Pixel by pixel: insert zeros, pad with zeros, convolve with the turned filter, keep every so many-th."""
    count, channels, size, _ = maps.shape
    wide = maps.new_zeros(count, channels, size * up, size * up)
    wide[..., ::up, ::up] = maps
    wide = F.pad(wide, (*padding, *padding))
    kernel = torch.tensor(taps, dtype=maps.dtype) / sum(taps) * up
    length = wide.shape[-1] - len(taps) + 1
    found = maps.new_zeros(count, channels, length, length)
    for row, tall in enumerate(kernel.flip(0)):
        for column, long in enumerate(kernel.flip(0)):
            found += tall * long * wide[..., row : row + length, column : column + length]
    return found[..., ::down, ::down]


@BOTH_WAYS
@settings(deadline=None, max_examples=25)
@given(
    size=st.integers(3, 6),
    up=st.integers(1, 3),
    down=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    taps=st.lists(st.integers(1, 5), min_size=3, max_size=5),
    channels_last=st.booleans(),
)
def test_it_is_upfirdn(dense, size, up, down, padding, taps, channels_last):
    assume(max(padding) <= len(taps) - up)
    assume(size * up + sum(padding) >= len(taps))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "_DENSE", dense)
        resample = Resample(size, up, down, padding, taps)
    maps = torch.randn(2, 3, size, size)
    maps = maps.contiguous(memory_format=torch.channels_last) if channels_last else maps
    expected = by_definition(maps, up, down, padding, taps)
    assert expected.shape[-1] == resample.new_size
    torch.testing.assert_close(resample(maps), expected, atol=1e-5, rtol=1e-5)


@BOTH_WAYS
def test_dtype_and_layout_are_kept_also_under_autocast(dense, monkeypatch):
    monkeypatch.setattr(resampling, "_DENSE", dense)
    maps = torch.randn(2, 3, 4, 4)
    for resample in (upsampler(4), downsampler(4)):
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(resample(maps), resample(maps.clone()))
            assert resample(maps).dtype == torch.float32
            assert resample(maps.bfloat16()).dtype == torch.bfloat16
        last = resample(maps.contiguous(memory_format=torch.channels_last))
        assert last.stride(1) == 1
        torch.testing.assert_close(last, resample(maps))


def test_a_constant_stays_constant_inside_and_fades_at_the_border():
    ones = torch.ones(1, 1, 8, 8)
    for found in (upsampler(8)(ones), downsampler(8)(ones)):
        torch.testing.assert_close(found[..., 1:-1, 1:-1], torch.ones_like(found[..., 1:-1, 1:-1]))
        assert (found[..., 0, :] < 1).all()


def test_by_two_it_is_bilinear_interpolation_inside():
    maps = torch.randn(2, 3, 6, 6)
    expected = F.interpolate(maps, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(upsampler(6)(maps)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])
    expected = F.interpolate(maps, scale_factor=0.5, mode="bilinear", antialias=True)
    torch.testing.assert_close(downsampler(6)(maps)[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1])


@BOTH_WAYS
def test_up_is_the_adjoint_of_down_and_both_can_be_derived_twice(dense, monkeypatch):
    monkeypatch.setattr(resampling, "_DENSE", dense)
    small, large = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 8, 8, requires_grad=True)
    up, down = upsampler(4), downsampler(8)
    product = (up(small) * large).sum()
    torch.testing.assert_close(product, 4 * (small * down(large)).sum())
    (by_small,) = torch.autograd.grad(product, small, create_graph=True)
    torch.testing.assert_close(by_small, 4 * down(large))
    (by_large,) = torch.autograd.grad(by_small.square().sum(), large)
    torch.testing.assert_close(by_large, 2 * up(by_small))

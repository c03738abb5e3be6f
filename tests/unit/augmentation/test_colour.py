"""Changes of colour, noise and frequencies, against their definitions."""

import math

import numpy as np
import pytest
import torch

from aigc.augmentation import frequency as filters
from aigc.augmentation.colour import colour, recolour
from aigc.augmentation.corruption import noise
from aigc.augmentation.diff_augment import DiffAugment
from aigc.augmentation.frequency import amplify_bands, bands, filtering

ONE = torch.tensor(1.0)
STILL = {"brightness": 0.0, "contrast": 1.0, "luma": 1.0, "hue": 0.0, "saturation": 1.0}


def changed(pixel, **changes):
    images = torch.tensor(pixel).view(1, 3, 1, 1)
    return recolour(images, **{name: torch.tensor([value]) for name, value in (STILL | changes).items()}).flatten()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (1, 0, 0)),
        ({"brightness": 0.25}, (1.25, 0.25, 0.25)),
        ({"contrast": 2.0}, (2, 0, 0)),
        ({"brightness": 0.25, "contrast": 2.0}, (2.5, 0.5, 0.5)),
        ({"luma": -1.0}, (1 / 3, -2 / 3, -2 / 3)),
        ({"hue": 2 * math.pi / 3}, (0, 1, 0)),
        ({"hue": -2 * math.pi / 3}, (0, 0, 1)),
        ({"saturation": 0.0}, (1 / 3, 1 / 3, 1 / 3)),
        ({"saturation": 2.0}, (5 / 3, -1 / 3, -1 / 3)),
    ],
)
def test_red_becomes(changes, expected):
    assert changed((1.0, 0.0, 0.0), **changes) == pytest.approx(expected, abs=1e-6)


def test_one_map_is_the_product_of_the_papers_matrices():
    torch.manual_seed(0)
    values = dict(zip(STILL, torch.randn(5, 20, dtype=torch.float64), strict=True))
    images = torch.randn(20, 3, 2, 2, dtype=torch.float64)
    axis = torch.tensor([1.0, 1, 1, 0], dtype=torch.float64) / math.sqrt(3)
    plane, identity = torch.outer(axis, axis), torch.eye(4, dtype=torch.float64)
    cross = torch.zeros(4, 4, dtype=torch.float64)
    cross[:3, :3] = torch.linalg.cross(torch.eye(3, dtype=torch.float64), axis[:3].expand(3, 3))
    found = recolour(images, **values)
    for number, (b, c, luma, hue, s) in enumerate(zip(*values.values(), strict=True)):
        move = identity.clone()
        move[:3, 3] = b
        scale = torch.diag(torch.stack([c, c, c, torch.ones_like(c)]))
        mirror = identity - (1 - luma) * plane
        turn = torch.matrix_exp(hue * cross)
        whole = (plane + (identity - plane) * s) @ turn @ mirror @ scale @ move
        whole[3] = identity[3]
        pixels = torch.cat([images[number].flatten(1), torch.ones(1, 4, dtype=torch.float64)])
        assert torch.allclose(found[number].flatten(1), (whole @ pixels)[:3], atol=1e-12)


def test_a_grey_image_is_changed_like_the_same_in_colour():
    torch.manual_seed(0)
    grey = torch.rand(200, 1, 4, 4) * 2 - 1
    alone, together = [], []
    for images, found in ((grey, alone), (grey.expand(-1, 3, -1, -1), together)):
        torch.manual_seed(1)  # hue and saturation are drawn last
        found.append(colour(images, ONE))
    assert alone[0].shape == grey.shape
    assert torch.allclose(alone[0].expand(-1, 3, -1, -1), together[0], atol=1e-5)


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="images have 2 channels; colours of 1"):
        colour(torch.zeros(1, 2, 4, 4), ONE)


def test_the_policy_color_is_the_papers():
    images = torch.rand(20, 3, 4, 4, dtype=torch.float64) * 2 - 1
    torch.manual_seed(0)
    found = DiffAugment(["color"])(images)
    torch.manual_seed(0)
    brightness, saturation, contrast = torch.rand(3, 20, 1, 1, 1, dtype=torch.float64)
    bright = images + brightness - 0.5
    mean = bright.mean(1, keepdim=True)
    coloured = (bright - mean) * (2 * saturation) + mean
    mean = coloured.mean((1, 2, 3), keepdim=True)
    assert torch.allclose(found, (coloured - mean) * (contrast + 0.5) + mean, atol=1e-12)


def test_noise_deviates_as_asked():
    torch.manual_seed(0)
    deviations = noise(torch.zeros(3000, 3, 8, 8), ONE).flatten(1).square().mean(1).sqrt()
    assert abs(deviations.square().mean().sqrt() - 0.1) < 0.006
    assert abs(deviations.mean() - 0.1 * math.sqrt(2 / math.pi)) < 0.006  # that of |normal|


def test_bands_are_those_of_the_wavelet():
    root = math.sqrt(3)
    wavelet = np.array([1 - root, 3 - root, 3 + root, 1 + root]) / (4 * math.sqrt(2))  # sym2
    angles = np.linspace(0, math.pi, 50)

    def low(angle):
        return abs(np.exp(-1j * np.outer(angle, np.arange(4))) @ wavelet) ** 2 / 2

    first, second, third = (low(angles * 2**octave) for octave in range(3))
    expected = [first * second * third, first * second * (1 - third), first * (1 - second), 1 - first]
    assert bands(torch.from_numpy(angles)).numpy() == pytest.approx(np.array(expected), abs=1e-12)


def test_a_wave_is_multiplied_by_the_gain_of_its_band():
    gains = torch.tensor([[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 1.0, 0.5]], dtype=torch.float64)
    for wave in (0, 3, 15):
        across = torch.cos(wave * math.pi / 16 * (torch.arange(16, dtype=torch.float64) + 0.5))
        images = across.expand(2, 3, 8, 16)
        gain = gains @ bands(torch.tensor([wave * math.pi / 16], dtype=torch.float64)) * gains[:, :1]  # constant down
        assert torch.allclose(amplify_bands(images, gains), images * gain[:, :, None, None], atol=1e-12)


def test_one_band_made_stronger_keeps_the_usual_power(monkeypatch):
    seen = []
    monkeypatch.setattr(filters, "amplify_bands", lambda images, gains: seen.append(gains) or images)
    torch.manual_seed(0)
    filtering(torch.zeros(2000, 1, 4, 4), torch.tensor(0.2))
    alone = [row for row in seen[0] if len(row.unique()) == 2]
    power = torch.stack(alone).square() @ torch.tensor([10.0, 1, 1, 1]) / 13
    assert len(alone) > 500
    assert torch.allclose(power, torch.ones(len(alone)), atol=1e-5)

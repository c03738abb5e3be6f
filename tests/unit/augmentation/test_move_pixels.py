"""Changes that only move pixels, against what torch and numpy call the same."""

import math

import numpy as np
import pytest
import torch

from aigc.augmentation.corruption import cutout
from aigc.augmentation.diff_augment import DiffAugment
from aigc.augmentation.space import blit, move, rotation, scaling, translation

ONE = torch.tensor(1.0)


def numbered(height, width, count=1):
    """Images of which no two pixels are alike, and none is 0."""
    image = torch.arange(1.0, 3 * height * width + 1).view(1, 3, height, width)
    return image.expand(count, -1, -1, -1)


def found_among(results, candidates):
    """Which candidate each result is, to the last bit."""
    equal = (results.unsqueeze(1) == torch.stack(candidates)).flatten(2).all(2)
    assert equal.any(1).all()
    return set(equal.int().argmax(1).tolist())


def filled(image, down, right, mode):
    """An image (channels, height, width) moved by whole pixels, what comes in by a mode of `numpy.pad`."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (height, height), (width, width)), mode)
    return torch.from_numpy(padded)[:, height - down : 2 * height - down, width - right : 2 * width - right]


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_quarter_turn_is_rot90(quarters):
    images = numbered(6, 6)
    matrices = rotation(torch.tensor([quarters * math.pi / 2])).round()
    assert torch.equal(move(images, matrices), images.rot90(quarters, (2, 3)))


def test_a_mirror_is_a_flip():
    images = numbered(5, 8)
    assert torch.equal(move(images, scaling(-torch.ones(1), torch.ones(1))), images.flip(3))


@pytest.mark.parametrize(("down", "right"), [(2, -1), (-5, 7), (0, 3)])
def test_a_move_shows_the_mirror_image_at_the_edge(down, right):
    images = numbered(5, 7)
    moved = move(images, translation(torch.tensor([-float(right)]), torch.tensor([-float(down)])))
    assert torch.equal(moved[0], filled(images[0], down, right, "symmetric"))
    if down or right:
        assert not torch.equal(moved[0], filled(images[0], down, right, "reflect"))


def test_blit_draws_every_orientation_and_every_move():
    image = numbered(8, 8)[0]
    turned = [one.rot90(quarters, (1, 2)) for one in (image, image.flip(2)) for quarters in range(4)]
    candidates = [
        filled(one, down, right, "symmetric") for one in turned for down in (-1, 0, 1) for right in (-1, 0, 1)
    ]
    torch.manual_seed(0)
    assert found_among(blit(numbered(8, 8, 2500), ONE), candidates) == set(range(72))


def test_images_that_are_not_square_are_turned_by_halves():
    image = numbered(3, 6)[0]
    turned = [image, image.flip(2), image.flip(1), image.flip(1, 2)]
    candidates = [filled(one, 0, right, "symmetric") for one in turned for right in (-1, 0, 1)]
    torch.manual_seed(0)
    assert found_among(blit(numbered(3, 6, 400), ONE), candidates) == set(range(12))


def test_translation_draws_every_move_of_an_eighth_and_fills_with_grey():
    image = numbered(16, 8)[0]
    candidates = [filled(image, down, right, "constant") for down in range(-2, 3) for right in range(-1, 2)]
    torch.manual_seed(0)
    assert found_among(DiffAugment(["translation"])(numbered(16, 8, 600)), candidates) == set(range(15))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 6), (7, 12)])
def test_cutout_is_a_grey_block_of_half_the_size_that_may_stick_out(height, width):
    torch.manual_seed(0)
    images = numbered(height, width, 600)
    cut = cutout(images, ONE)
    grey = (cut == 0).all(1)
    assert torch.equal(cut, images * ~grey.unsqueeze(1))
    rows, columns = grey.any(2), grey.any(1)
    assert torch.equal(grey, rows.unsqueeze(2) & columns.unsqueeze(1))  # a block
    for lines, size in ((rows, height), (columns, width)):
        block = size // 2
        where = [torch.arange(size).sub(centre - block // 2) for centre in range(size + 1 - block % 2)]
        found_among(lines, [(line >= 0) & (line < block) for line in where])
        assert len(lines.unique(dim=0)) == len(where)

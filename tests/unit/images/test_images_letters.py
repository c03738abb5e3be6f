"""Letters that are drawn, and digits that are bundled: sets with classes that need no file of a person's."""

from pathlib import Path

import numpy as np
import pytest

from aigc.data.images import ImageData, open_images
from aigc.data.images.formats import letters
from aigc.errors import InputError


def test_each_letter_stands_in_every_typeface_equally_often() -> None:
    images = open_images("fonts:letters")
    assert len(images) == len(images.hashes) == len(set(images.hashes)) == 26 * 19 * 9
    assert images.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [19 * 9] * 26
    assert images.name_of(0) == "fonts:letters[0] (A, DejaVuSans, 0)"
    assert images.name_of(26 * 19 + 27) == "fonts:letters[521] (B, DejaVuSans-Bold, 1)"


def test_letters_are_dark_on_white_and_differ() -> None:
    images = open_images("fonts:letters")
    coloured = np.stack([images.read(index) for index in range(26 * 19)])
    first = coloured[..., 0]
    assert coloured.shape == (26 * 19, 32, 32, 3)
    assert (coloured == first[..., None]).all()
    assert ((first == 255).mean(axis=(1, 2)) > 0.5).all()
    assert first.min(axis=(1, 2)).max() < 160  # the thinnest strokes are grey
    assert len(np.unique(first.reshape(len(first), -1), axis=0)) == len(first)
    for alike in first.reshape(19, 26, -1)[::6].astype(np.float32):  # letters of one typeface
        between = np.abs(alike[:, None] - alike).mean(axis=2)
        assert between[~np.eye(26, dtype=bool)].min() > 1.5
    tall = 255 - first[7::26]  # H, whose height is the same in all typefaces
    heights = (tall.max(axis=2) > 100).sum(axis=1)
    assert heights.min() >= 17
    assert heights.max() <= 20


def test_variants_move_and_scale_within_the_image() -> None:
    images = letters.Letters(32)
    of_one = [255 - images.read(4 + 26 * 19 * variant)[..., 0].astype(np.float64) for variant in range(9)]
    places = np.arange(32.0)
    centres = np.array([[(ink.sum(axis) @ places) / ink.sum() for axis in (0, 1)] for ink in of_one])
    assert len({ink.tobytes() for ink in of_one}) == 9
    assert 0.3 < np.abs(centres - centres[0]).max() < 2.5
    assert all(0.75 < ink.sum() / of_one[0].sum() < 1.3 for ink in of_one)
    edges = [255 - images.read(index)[[0, -1]].min() for index in range(0, len(images), 7)]
    assert np.mean(np.array(edges) > 60) < 0.02  # next to none is cut


def test_the_same_letters_are_drawn_again_and_in_the_size_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = letters.Letters(48), letters.Letters(48)
    assert all(np.array_equal(first.read(index), again.read(index)) for index in (0, 3000, 700))
    assert first.fingerprint() == again.fingerprint() != letters.Letters(32).fingerprint()
    assert open_images("fonts:letters").fingerprint() == letters.Letters(32).fingerprint()
    monkeypatch.setattr(letters, "VARIANTS", 1)
    data = ImageData(
        "fonts:letters", resolution=9, channels=1, labels=True, batch_size=30, shuffle=False, cache=str(tmp_path)
    )
    data.prepare_data()
    own = letters.Letters(9)
    assert (data.resolution, data.channels, len(data.classes), len(data.images)) == (9, 1, 26, 494)
    batch = next(iter(data.train_dataloader()))
    assert batch["labels"].tolist() == [*range(26), 0, 1, 2, 3]
    assert all(np.array_equal(batch["images"][index, 0].numpy(), own.read(index)[..., 0]) for index in range(30))


def test_missing_typefaces_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(letters, "FONTS", ("DejaVuSans", "Comic"))
        with pytest.raises(InputError, match=r"fonts:letters: matplotlib has no Comic\.ttf; install another version"):
            open_images("fonts:letters")
    monkeypatch.setattr(letters, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="a package that is missing: pip install matplotlib"):
        open_images("fonts:letters")


def test_digits_are_bundled_with_their_classes() -> None:
    images = open_images("asset:digits8.npz")
    assert images.classes == tuple("0123456789")
    assert images.labels is not None
    assert np.bincount(images.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images.labels[:10].tolist() == list(range(10))
    pixels = np.stack([images.read(index) for index in range(len(images))])
    assert pixels.shape == (1797, 8, 8, 3)
    assert set(np.unique(pixels)) == {round(value * 255 / 16) for value in range(17)}
    zero = [0, 0, 5, 13, 9, 1, 0, 0]  # the first row of the first digit
    assert pixels[0, 0, :, 0].tolist() == [round(value * 255 / 16) for value in zero]

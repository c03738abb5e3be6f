"""Images are made alike once; the cache gives them again, and never half of them."""

import logging
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aigc.data.cache import is_whole
from aigc.data.images import open_images, prepared
from aigc.data.images.fit import ImageRecipe, fit
from aigc.data.images.prepared import PreparedImages, prepare
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

RECIPE = ImageRecipe(resolution=8)


@given(st.integers(3, 40), st.integers(3, 40), st.sampled_from([None, 1, 8, 24]), st.sampled_from(["center", "none"]))
def test_the_middle_square_is_cut_and_scaled(height: int, width: int, resolution: int | None, crop: str) -> None:
    image = pixels(height * 100 + width, height, width)
    side, top, left = min(height, width), (height - min(height, width)) // 2, (width - min(height, width)) // 2
    expected = Image.fromarray(image if crop == "none" else image[top : top + side, left : left + side])
    if resolution:
        expected = expected.resize((resolution, resolution), Image.Resampling.LANCZOS)
    found = fit(image, ImageRecipe(resolution, 3, crop))  # type: ignore[arg-type]
    assert (found.dtype, found.flags.c_contiguous) == (np.uint8, True)
    assert np.array_equal(found, np.asarray(expected).transpose(2, 0, 1))
    grey = fit(image, ImageRecipe(resolution, 1, crop))  # type: ignore[arg-type]
    assert np.array_equal(grey, np.asarray(expected.convert("L"))[None])


def test_scaling_down_does_not_alias() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(fit(stripes, RECIPE).astype(int) - 127).max() <= 6
    assert fit(stripes[::2, ::2], RECIPE).min() == 255  # what picking every second pixel would give


def make(place: Path | str, cache: Path, recipe: ImageRecipe = RECIPE) -> PreparedImages:
    return prepare(recipe, open_images(str(place)), cache)


@pytest.fixture
def faces(folder: Callable[..., Path]) -> Path:
    return folder({f"{'ab'[index % 2]}/{index}.png": pixels(index, 9 + index, 12) for index in range(70)})


def test_an_entry_holds_every_image_in_order(faces: Path, tmp_path: Path) -> None:
    made, source = make(faces, tmp_path), open_images(str(faces))
    expected = np.stack([fit(source.read(index), RECIPE) for index in range(70)])
    assert np.array_equal(made.pixels, expected)
    assert isinstance(made.pixels, np.memmap)
    assert made.labels is not None
    assert made.labels.tolist() == source.labels.tolist() == [0] * 35 + [1] * 35
    assert made.kept.tolist() == list(range(70))
    assert made.info["train"] == {"images": 70}
    assert (made.info["skipped"], made.info["resolution"], made.info["channels"]) == (0, 8, 3)
    assert make("asset:emoji32.png", tmp_path, ImageRecipe()).labels is None


def test_a_second_run_decodes_nothing(faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(faces, tmp_path)
    monkeypatch.setattr(prepared, "decoded", None)
    assert make(faces, tmp_path) == first
    faces.rename(faces.with_name("moved"))  # where it lies does not count
    assert make(faces.with_name("moved"), tmp_path) == first
    with pytest.raises(TypeError):  # the guard itself works
        make(faces.with_name("moved"), tmp_path, replace(RECIPE, crop="none"))


def test_content_and_every_setting_change_entry_and_fingerprint(faces: Path, tmp_path: Path) -> None:
    made = [make(faces, tmp_path)]
    for change in ({"resolution": 7}, {"channels": 1}, {"crop": "none"}, {"on_bad": "skip"}):
        made.append(make(faces, tmp_path, replace(RECIPE, **change)))
    made.append(prepare(RECIPE, open_images(str(faces), alpha="white"), tmp_path))
    (faces / "a/0.png").write_bytes(packed(pixels(1000)))
    made.append(make(faces, tmp_path))
    assert len({one.folder for one in made}) == len({one.info["fingerprint"] for one in made}) == len(made)
    (faces / "b").rename(faces / "c")  # another name of a class: the same data, told otherwise
    renamed = make(faces, tmp_path)
    assert renamed.folder != made[-1].folder
    assert renamed.info["fingerprint"] == made[-1].info["fingerprint"]


def test_damaged_images_are_left_out_on_request(faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a/0.png", "b/33.png"):
        (faces / name).write_bytes((faces / name).read_bytes()[:90])
    with pytest.raises(InputError, match=r"faces/a/0\.png: damaged or cut short"):
        make(faces, tmp_path)
    assert list((tmp_path / "images").iterdir()) == []
    made = make(faces, tmp_path, replace(RECIPE, on_bad="skip"))
    assert made.info["skipped"] == 2
    assert "2 of 70 images cannot be read and are left out" in caplog.text
    source = open_images(str(faces))
    assert [source.name_of(index) for index in made.kept[:2]] == [f"{faces}/a/10.png", f"{faces}/a/12.png"]
    assert np.array_equal(made.pixels, np.stack([fit(source.read(index), RECIPE) for index in made.kept]))
    assert made.labels.tolist() == source.labels[made.kept].tolist() == [0] * 34 + [1] * 34
    with pytest.raises(InputError):  # the entry without them is none for a person who wants all
        make(faces, tmp_path)


@pytest.mark.parametrize("damage", ["shorten", "change", "remove"])
def test_a_damaged_entry_is_made_again(faces: Path, tmp_path: Path, damage: str) -> None:
    first = make(faces, tmp_path)
    file = first.folder / "pixels.npy"
    good = file.read_bytes()
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(good[:-2] if damage == "shorten" else good[:-1] + bytes([good[-1] ^ 1]))
    assert not is_whole(first.folder)
    assert make(faces, tmp_path).folder == first.folder
    assert file.read_bytes() == good


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_preparation_leaves_nothing_behind(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", interrupt)
        with pytest.raises(error):
            make(faces, tmp_path)
    assert list((tmp_path / "images").iterdir()) == []
    assert is_whole(make(faces, tmp_path).folder)


def test_several_preparing_at_once_leave_one_whole_entry(faces: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: make(faces, tmp_path), range(4)))
    assert [path.name for path in (tmp_path / "images").iterdir()] == [made[0].folder.name]
    assert all(np.array_equal(one.pixels, made[0].pixels) for one in made)


def test_a_folder_that_changes_while_it_is_read_is_refused(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = prepared.fit

    def fit_and_change(*arguments: object, **settings: object) -> object:
        (faces / "b/69.png").write_bytes(packed(pixels(0, 30, 30)))
        return real(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(prepared, "fit", fit_and_change)
    with pytest.raises(InputError, match="faces changed while it was read"):
        make(faces, tmp_path)
    assert list((tmp_path / "images").iterdir()) == []


def test_sizes_that_differ_need_a_resolution(faces: Path, tmp_path: Path, folder: Callable[..., Path]) -> None:
    says = r"faces/a/10\.png is 12 x 12 pixels and .*faces/a/0\.png 9 x 9 pixels\. .* set data\.resolution\."
    with pytest.raises(InputError, match=says):
        make(faces, tmp_path, ImageRecipe())
    wide = folder({"a.png": pixels(0, 4, 6), "b.png": pixels(1, 4, 6)}, "wide")
    with pytest.raises(InputError, match=r"a\.png is 6 x 4 pixels, .*Set data\.crop=center"):
        make(wide, tmp_path, ImageRecipe(crop="none"))
    assert make(wide, tmp_path, ImageRecipe()).pixels.shape == (2, 3, 4, 4)


def test_preparing_is_logged_and_warns_of_nothing(
    faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "aigc"), warnings.catch_warnings():
        warnings.simplefilter("error")
        make(faces, tmp_path)
    assert [message.removeprefix(f"{faces}: ") for message in caplog.messages] == [
        "decoding 70 images",
        "69 of 70 images are cut to the square in the middle, 70 of 70 images are scaled to 8 x 8 pixels",
    ]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"resolution": 0}, "data.resolution is 0; allowed: at least 1 and at most 4096, or null."),
        ({"channels": 2}, "data.channels is 2; allowed: 1 (grey) or 3 (colour)."),
        ({"crop": "centre"}, "data.crop is 'centre'. Did you mean center? Allowed: center, none."),
        ({"on_bad": "ignore"}, "data.on_bad is 'ignore'. Allowed: fail, skip."),
    ],
)
def test_recipes_out_of_range_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(InputError) as raised:
        ImageRecipe(**wrong)
    assert str(raised.value) == says

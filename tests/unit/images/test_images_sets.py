"""The same images are the same set, whether they lie in a folder, an archive or an array."""

import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc import assets
from aigc.data.images import Images, open_images
from aigc.data.images.decode import decode
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

FILES = {f"{folder}/{name}.png": pixels(ord(folder) + name) for folder in "cba" for name in range(3)}


def zipped(folder: Path, place: Path, **settings: int) -> Path:
    with zipfile.ZipFile(place, "w", **settings) as archive:
        for path in sorted(folder.rglob("*"), reverse=True):
            archive.write(path, path.relative_to(folder))
    return place


def everything(images: Images) -> list[list]:
    return [images.read(index).tolist() for index in range(len(images))]


def test_a_folder_and_its_archive_are_one_set(folder: Callable[..., Path], tmp_path: Path) -> None:
    place = folder(FILES)
    sets = [open_images(str(place)), open_images(str(zipped(place, tmp_path / "a.zip")))]
    sets.append(open_images(str(zipped(place, tmp_path / "b.ZIP", compression=zipfile.ZIP_DEFLATED))))
    for images in sets:
        assert len(images) == 9
        assert everything(images) == [FILES[path].tolist() for path in sorted(FILES)]
        assert images.labels is not None
        assert images.labels.dtype == np.int64
        assert (images.labels.tolist(), images.classes) == ([0, 0, 0, 1, 1, 1, 2, 2, 2], ("a", "b", "c"))
        assert images.name_of(3) == f"{images.name}/b/0.png"
    assert len({images.fingerprint() for images in sets}) == 1


def test_paths_are_compared_folder_by_folder_whatever_the_locale(folder: Callable[..., Path]) -> None:
    names = ["a/z.png", "a-b/a.png", "B/a.png", "a/é.png", "a/Z.png", "a/10.png", "a/9.png", "a/deep/er/1.png", "x.png"]
    place = folder({name: pixels(seed) for seed, name in enumerate(names)})
    images = open_images(str(place))
    found = [images.name_of(index).removeprefix(f"{place}/") for index in range(len(images))]
    assert found == [
        "B/a.png", "a/10.png", "a/9.png", "a/Z.png", "a/deep/er/1.png", "a/z.png", "a/é.png", "a-b/a.png", "x.png"
    ]  # fmt: skip
    assert (images.labels, images.classes) == (None, ())


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["a/1.png", "b/1.png"], ("a", "b")),
        (["a/1.png", "a/2.png"], ()),
        (["a/1.png", "b/1.png", "1.png"], ()),
        (["a/1.png", "b/c/1.png"], ()),
        (["1.png", "2.png"], ()),
    ],
)
def test_two_folders_one_level_down_are_classes(
    folder: Callable[..., Path], names: list[str], classes: tuple[str, ...]
) -> None:
    images = open_images(str(folder(dict.fromkeys(names, pixels(0)))))
    assert images.classes == classes
    assert (images.labels is None) == (classes == ())


def test_hidden_files_other_files_and_other_suffixes(folder: Callable[..., Path], tmp_path: Path) -> None:
    one = pixels(0)
    files = {"a.PNG": one, ".b.png": one, ".git/c.png": one, "notes.txt": b"", "d.jpeg": packed(one, "JPEG")}
    place = folder(files | {"__MACOSX/._a.PNG": b"fork", "e.png/f.webp": packed(one, "WEBP")})
    for where in (place, zipped(place, tmp_path / "a.zip")):
        images = open_images(str(where))
        found = [images.name_of(index).removeprefix(f"{where}/") for index in range(len(images))]
        assert found == ["a.PNG", "d.jpeg", "e.png/f.webp"]


def test_links_inside_the_folder_are_images_and_links_to_folders_are_not_followed(
    folder: Callable[..., Path],
) -> None:
    place = folder({"a/1.png": pixels(0)})
    (place / "a/2.png").symlink_to("1.png")
    (place / "again").symlink_to("a")
    (place / "a/loop").symlink_to("..")
    images = open_images(str(place))
    assert everything(images) == [pixels(0).tolist()] * 2
    link = place.parent / "link"
    link.symlink_to(place)  # the folder itself may be given by a link
    assert open_images(str(link)).fingerprint() == images.fingerprint()


def test_the_fingerprint_is_that_of_bytes_order_and_labels(folder: Callable[..., Path]) -> None:
    place = folder(FILES)
    begin = open_images(str(place)).fingerprint()
    assert begin == open_images(str(place)).fingerprint() == open_images(f"{place}/").fingerprint()
    assert len(begin) == 64
    moved = shutil.copytree(place, place.parent / "moved")
    (moved / "a/0.png").rename(moved / "a/00.png")
    (moved / "c").rename(moved / "d")
    (moved / "notes.txt").write_text("no image")
    assert open_images(str(moved)).fingerprint() == begin

    others = {begin, open_images(str(place), alpha="white").fingerprint()}
    (moved / "a/00.png").rename(moved / "a/9.png")  # another order
    others.add(open_images(str(moved)).fingerprint())
    (moved / "a/9.png").rename(moved / "b/.png.png")  # hidden: one image less
    others.add(open_images(str(moved)).fingerprint())
    flat = folder({path.replace("/", " "): FILES[path] for path in FILES}, "flat")  # no labels
    others.add(open_images(str(flat)).fingerprint())
    (flat / "a 0.png").write_bytes((flat / "a 0.png").read_bytes() + b"\0")
    others.add(open_images(str(flat)).fingerprint())
    assert len(others) == 6


def test_a_set_knows_whether_it_has_changed(folder: Callable[..., Path]) -> None:
    place = folder(FILES)
    images = open_images(str(place))
    begin = images.fingerprint()
    assert not images.has_changed()
    (place / "a/1.png").write_bytes(packed(pixels(99)))
    assert images.has_changed()
    assert images.subset([1]).has_changed()
    assert not images.subset([0, 2]).has_changed()
    assert images.fingerprint() == begin  # computed once


ARRAYS = st.tuples(st.integers(1, 4), st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3, 4]))


@given(ARRAYS, st.integers(0, 100), st.sampled_from(["npy", "npz"]), st.sampled_from(["last", "first", "none"]))
def test_arrays_of_any_layout_give_the_same_images(
    tmp_path: Path, shape: tuple[int, ...], seed: int, kind: str, channels: str
) -> None:
    last = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    if channels == "none":
        last = last[..., :1]
    array = {"last": last, "first": last.transpose(0, 3, 1, 2), "none": last[..., 0]}[channels]
    place = tmp_path / f"a.{kind}"
    np.save(place, array) if kind == "npy" else np.savez(place, array)
    images = open_images(str(place))
    assert len(images) == len(last)
    expected = np.repeat(last, 3, axis=3) if last.shape[3] == 1 else last[..., :3]
    assert everything(images) == expected.tolist()
    assert images.name_of(0) == f"{place}[0]"
    np.save(tmp_path / "same.npy", last)
    assert images.fingerprint() == open_images(str(tmp_path / "same.npy")).fingerprint()
    assert images.read(0).flags.writeable


def test_an_array_on_disk_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 8, 8, 3), np.uint8))
    images = open_images(str(tmp_path / "a.npy"))
    assert isinstance(images.pixels.base, np.memmap) or isinstance(images.pixels, np.memmap)
    assert type(images.read(0)) is np.ndarray


@pytest.mark.parametrize(
    ("images", "labels"), [("images", "labels"), ("x", "y"), ("arr_0", "arr_1"), ("mine", "labels")]
)
def test_labels_of_an_archive_become_numbers_from_zero(tmp_path: Path, images: str, labels: str) -> None:
    array = np.zeros((4, 6, 6, 3), np.uint8)
    np.savez(tmp_path / "a.npz", **{images: array, labels: np.array([7, -1, 7, 20])})
    found = open_images(str(tmp_path / "a.npz"))
    assert found.labels is not None
    assert (found.labels.tolist(), found.classes) == ([1, 0, 1, 2], ("-1", "7", "20"))
    half = found.subset(slice(0, 4, 3))
    assert (len(half), half.labels.tolist(), half.classes) == (2, [1, 2], found.classes)
    np.savez(tmp_path / "b.npz", **{images: array})
    assert open_images(str(tmp_path / "b.npz")).fingerprint() != found.fingerprint()


def test_what_cannot_be_labels_is_logged_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 6, 6, 3), np.uint8), y=np.zeros((4, 10)))
    with caplog.at_level(logging.INFO, "aigc"):
        assert open_images(str(tmp_path / "a.npz")).labels is None
    assert "'y' does not have a label for each image but is float64 of shape (4, 10)" in caplog.text
    assert "uint8 of shape (4, 6, 6, 3): 4 images, height 6, width 6, channels 3" in caplog.text


def test_a_reference_batch_with_statistics_beside_it_is_images(tmp_path: Path) -> None:
    array = np.zeros((2, 6, 6, 3), np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=array, mu=np.zeros(4), sigma=np.eye(4))
    assert len(open_images(str(tmp_path / "a.npz"))) == 2


def test_the_emoji_sheet_is_cut_in_reading_order() -> None:
    sheet = decode(assets.resolve("asset:emoji32.png").read_bytes(), "sheet")
    images = open_images("asset:emoji32.png")
    assert len(images) == 1649
    for index in (0, 47, 48, 1000, 1648):
        top, left = 32 * (index // 48), 32 * (index % 48)
        assert np.array_equal(images.read(index), sheet[top : top + 32, left : left + 32])
    assert all(images.read(index).std() > 0 for index in range(len(images)))
    assert sheet[-32:, 17 * 32 :].std() == 0  # nothing was left behind
    assert images.fingerprint() == open_images("asset:emoji32.png").fingerprint()


@pytest.mark.parametrize("encoding", ["utf-8", "gb2312"])
def test_chinese_names_in_archives_that_do_not_say_how_they_are_written(encoding: str, tmp_path: Path) -> None:
    """As macOS and older Chinese Windows pack a folder."""
    where = tmp_path / "a.zip"
    with zipfile.ZipFile(where, "w") as archive:
        for path in ("动物/猫狗/1.png", "动物/b/2.png", "__MACOSX/动物/b/2.png"):
            info = zipfile.ZipInfo("x" * len(path.encode(encoding)))
            archive.writestr(info, packed(pixels(1)))
    content = where.read_bytes()
    for path in ("动物/猫狗/1.png", "动物/b/2.png", "__MACOSX/动物/b/2.png"):
        name = path.encode(encoding)
        content = content.replace(b"x" * len(name), name)
    where.write_bytes(content)
    images = open_images(str(where))
    assert images.classes == ("b", "猫狗")
    assert [images.name_of(index) for index in range(2)] == [f"{where}/动物/b/2.png", f"{where}/动物/猫狗/1.png"]


def test_detours_in_the_names_of_an_archive(tmp_path: Path) -> None:
    where = tmp_path / "a.zip"
    with zipfile.ZipFile(where, "w") as archive:
        for path in ("a/1.png", "./b/2.png", "/b//3.png"):
            archive.writestr(path, packed(pixels(1)))
    images = open_images(str(where))
    assert (len(images), images.classes) == (3, ("a", "b"))
    with zipfile.ZipFile(where, "a") as archive:
        archive.writestr("../c/4.png", packed(pixels(1)))
    with pytest.raises(InputError, match=r"the name '\.\./c/4\.png' leads out of the archive"):
        open_images(str(where))

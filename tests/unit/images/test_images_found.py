"""Image folders and archives as people have them: endings, labels of StyleGAN, names of Chinese Windows, odd sizes."""

import json
import logging
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aigc.data.images import ImageData, open_images
from aigc.data.images.endings import advice, suffixes
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

ONE = pixels(0, 6, 6)


def archive_of(place: Path, files: dict[str, bytes], encoding: str | None = None) -> Path:
    """Pack files; with an encoding, their names are written in it and nothing says so."""
    raw = {path: path.encode(encoding or "utf-8") for path in files}
    with zipfile.ZipFile(place, "w") as archive:
        for number, (path, content) in enumerate(files.items()):
            name = path if encoding is None else f"{number}".rjust(len(raw[path]), "x")
            archive.writestr(zipfile.ZipInfo(name), content)
    if encoding is not None:
        content = place.read_bytes()
        for number, path in enumerate(files):
            content = content.replace(f"{number}".rjust(len(raw[path]), "x").encode(), raw[path])
        place.write_bytes(content)
    return place


def test_jpeg_under_its_other_names_is_read_and_what_is_left_out_is_said_once(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    jpeg = packed(ONE, "JPEG")
    files = {"1.jfif": jpeg, "2.JPE": jpeg, "3.png": ONE, "4.txt": b"", "5.jxl": b"", "6.jxl": b"", "Thumbs.db": b""}
    place = folder(files | {"@eaDir/7.png": ONE, ".git/8.png": ONE})
    caplog.set_level(logging.INFO, "aigc")
    for where in (place, archive_of(place.parent / "a.zip", {path: packed(ONE) for path in files})):
        caplog.clear()
        assert len(open_images(str(where))) == len(open_images(str(where))) == 3
        assert caplog.messages == [f"{where}: left out 3 files: .jxl 2, .txt 1"]


def test_avif_is_read_where_pillow_reads_it(folder: Callable[..., Path]) -> None:
    if ".avif" not in suffixes():
        pytest.skip("this Pillow has no AVIF")
    grey = np.full((6, 6, 3), 128, np.uint8)
    images = open_images(str(folder({"a.avif": packed(grey, "AVIF"), "b.png": grey})))
    assert len(images) == 2
    assert np.abs(images.read(0).astype(int) - 128).max() < 4


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="HEIF is read here")
def test_what_is_not_read_is_said_with_what_to_install(
    folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    place = folder({"a.heic": b"x", "b.HEIC": b"x", "c.png": ONE})
    caplog.set_level(logging.INFO, "aigc")
    assert len(open_images(str(place))) == 1
    assert caplog.messages == [f"{place}: left out 2 files: .heic 2 (read with: pip install pillow-heif)"]
    (place / "c.png").unlink()
    with pytest.raises(InputError, match=r"no image is in it; it holds 2 files: \.heic 2 \(read with: pip install"):
        open_images(str(place))


@pytest.mark.skipif(find_spec("pillow_heif") is None, reason="needs pillow-heif")
def test_heif_is_read_with_its_plug_in(folder: Callable[..., Path]) -> None:
    assert ".heic" not in advice()
    images = open_images(str(folder({"b.png": ONE, "a.heic": packed(Image.new("RGB", (64, 64), "red"), "HEIF")})))
    assert images.read(0)[32, 32, 0] > 200


def test_links_to_nothing_are_images_that_cannot_be_read_and_loops_end(folder: Callable[..., Path]) -> None:
    place = folder({"a/1.png": ONE})
    (place / "a/2.png").symlink_to("gone.png")
    (place / "b").symlink_to("..")
    assert len(open_images(str(place))) == 2
    assert len(open_images(str(place), on_bad="skip")) == 1


def table(labels: object) -> bytes:
    return json.dumps({"labels": labels}).encode()


NAMES = ["00000/img00.png", "00000/img01.png", "00001/img02.png"]
IMAGES = {path: pixels(seed, 6, 6) for seed, path in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        ([[path, 7 - 4 * (path == NAMES[1])] for path in NAMES], [1, 0, 1], ("3", "7")),
        ({path: number for number, path in enumerate(NAMES)}, [0, 1, 2], ("0", "1", "2")),
        ([[path.replace("/", "\\"), 2] for path in NAMES], [0, 0, 0], ("2",)),
        ([[path, [0.0, float(path == NAMES[0]), float(path != NAMES[0])]] for path in NAMES], [0, 1, 1], ("1", "2")),
        (None, None, ()),
    ],
)
@pytest.mark.parametrize("inside", ["", "faces/"])
def test_labels_of_stylegan_are_read_from_folders_and_archives(
    inside: str, labels: object, numbers: list[int] | None, classes: tuple[str, ...], folder: Callable[..., Path]
) -> None:
    place = folder({f"{inside}{path}": content for path, content in IMAGES.items()})
    (place / f"{inside}dataset.json").write_bytes(table(labels))
    files = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.*")}
    for where in (place, archive_of(place.parent / "a.zip", files)):
        images = open_images(str(where))
        assert len(images) == 3
        assert (images.labels.tolist() if images.labels is not None else None, images.classes) == (numbers, classes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (table([[NAMES[0], 1], [NAMES[1], 2]]), "1 of 3 images have no label in it: 00001/img02.png"),
        (table([[path, "cat"] for path in NAMES]), 'the label of 00000/img00.png is "cat"'),
        (table([[path, True] for path in NAMES]), "the label of 00000/img00.png is true"),
        (table([[NAMES[0], 1], [NAMES[0].replace("/", "\\"), 2]]), "00000/img00.png has two labels, 1 and 2"),
        (b'{"labels": {"a/1.png": 1, "a/1.png": 2}}', "a/1.png has two labels, 1 and 2"),
        (table(5), "labels: 5 where a path"),
        (table("x" * 1000), "labels: "),
        (table([[NAMES[0], 1], "x"]), 'labels: "x" where a path'),
        (table([[NAMES[0], 1, 2]]), "where a path"),
        (b'{"labels": [["a", 1]', "it is not JSON"),
        (b"", "it is not JSON"),
        (b"\xff", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
    ],
)
@pytest.mark.parametrize("images", [IMAGES, {"cat/1.png": ONE, "dog/2.png": ONE}], ids=["gan", "classes"])
def test_wrong_labels_are_an_error_where_labels_are_used_and_never_hide_classes(
    content: bytes,
    said: str,
    images: dict[str, np.ndarray],
    folder: Callable[..., Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if images is not IMAGES:
        for name, path in zip(NAMES, [*images, "cat/3.png"], strict=True):
            content = content.replace(name.encode(), path.encode())
            content = content.replace(name.replace("/", "\\\\").encode(), path.replace("/", "\\\\").encode())
            said = said.replace(name, path)
        images = images | {"cat/3.png": ONE}
    place = folder(images | {"dataset.json": content})
    cache = str(tmp_path / "cache")
    with pytest.raises(InputError) as error:
        ImageData(str(place), labels=True, batch_size=1, cache=cache).prepare_data()
    assert f"{place}/dataset.json: " in str(error.value)
    assert said in str(error.value)
    caplog.set_level(logging.INFO, "aigc")
    data = ImageData(str(place), batch_size=1, cache=cache)
    data.prepare_data()
    assert (data.classes, data.prepared.labels) == ((), None), "the file may be of this set: its folders say nothing"
    assert [said in message for message in caplog.messages if "dataset.json" in message] == [True]
    assert len(str(error.value)) < len(str(place)) + 300


def test_labels_for_one_of_two_folders_are_labels_of_some_images(folder: Callable[..., Path]) -> None:
    images = {"train/1.png": ONE, "train/2.png": ONE, "val/3.png": ONE}
    labels = table([["1.png", 0], ["2.png", 1]])
    error = open_images(str(folder(images | {"train/dataset.json": labels}))).label_error
    assert "train/dataset.json: 1 of 3 images have no label in it: ../val/3.png" in str(error)
    assert open_images(str(folder(images | {"train/dataset.json": table(None)}, "null"))).classes == ("train", "val")


def test_wrong_labels_of_the_images_for_validation_are_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    train = folder({"cat/1.png": ONE, "dog/2.png": ONE}, "train")
    other = folder({"cat/1.png": ONE, "dog/2.png": ONE, "dataset.json": b"["}, "other")
    settings: dict[str, Any] = {"validation_path": str(other), "batch_size": 1, "cache": str(tmp_path / "cache")}
    with pytest.raises(InputError, match=r"other/dataset\.json: it is not JSON"):
        ImageData(str(train), labels=True, **settings).prepare_data()
    ImageData(str(train), **settings).prepare_data()


def test_a_path_named_twice_with_one_label_is_harmless(folder: Callable[..., Path]) -> None:
    labels = [[path, number % 2] for number, path in enumerate(NAMES)]
    images = open_images(str(folder(IMAGES | {"dataset.json": table(labels + labels[:1])})))
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize("inside", ["", "set/"])
@pytest.mark.parametrize("labels", [[], {}, [["other.png", 1]], {"a/9.png": 3}, ["cat", "dog"], [0, 1]])
def test_labels_of_other_images_leave_the_class_folders(
    inside: str, labels: object, folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aigc")
    place = folder({f"{inside}a/1.png": ONE, f"{inside}b/2.png": ONE, f"{inside}dataset.json": table(labels)})
    images = open_images(str(place))
    assert (images.classes, images.labels_from) == (("a", "b"), "class folders")
    assert f"{place}/{inside}dataset.json: it names none of 2 images" in caplog.text


@pytest.mark.parametrize("labels", [None, [["a/1.png", [0.3, 0.7]], ["b/2.png", [0.5, 0.5]]]])
def test_a_file_that_gives_images_no_classes_says_so(
    labels: object, folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aigc")
    place = folder({"a/1.png": ONE, "b/2.png": ONE, "dataset.json": table(labels)})
    assert open_images(str(place)).labels is None
    assert "dataset.json: it gives no classes, and so the folders are not taken for classes" in caplog.text


@pytest.mark.parametrize("content", [b"[1]", b'{"name": "faces"}', b"5", b"null"])
def test_another_file_of_that_name_changes_nothing(
    content: bytes, folder: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    place = folder({"a/1.png": ONE, "b/2.png": ONE, "dataset.json": content, "b/c/dataset.json": table(None)})
    caplog.set_level(logging.INFO, "aigc")
    images = open_images(str(place))
    assert images.classes == ("a", "b")
    assert caplog.messages == [f"{place}: left out 2 files: .json 2"]


def test_classes_that_are_not_used_are_said_once(
    folder: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aigc")

    def said(place: Path, **settings: bool) -> list[str]:
        caplog.clear()
        for _ in range(2):
            data = ImageData(str(place), batch_size=1, cache=str(tmp_path / "cache"), **settings)
            data.prepare_data()
        return [message for message in caplog.messages if "data.labels" in message]

    sorted_ = folder({"cat/1.png": ONE, "dog/2.png": ONE, "cow/3.png": ONE}, "sorted")
    assert said(sorted_) == [f"{sorted_}: 3 class folders found (cat, cow, dog); data.labels=true uses them"]
    assert said(sorted_, labels=True) == []
    of_gan = folder(IMAGES | {"dataset.json": table(None)}, "gan")
    assert said(of_gan) == []
    (of_gan / "dataset.json").write_bytes(table([[path, number % 2] for number, path in enumerate(NAMES)]))
    assert said(of_gan) == [f"{of_gan}: 2 classes in dataset.json found (0, 1); data.labels=true uses them"]
    assert said(folder({"1.png": ONE}, "flat")) == []


def classes(place: Path) -> tuple[str, ...]:
    return open_images(str(place)).classes


def test_one_encoding_holds_for_all_names_of_an_archive(tmp_path: Path) -> None:
    def packed_as(encoding: str | None, *names: str) -> tuple[str, ...]:
        return classes(archive_of(tmp_path / "a.zip", {f"{name}/1.png": packed(ONE) for name in names}, encoding))

    assert packed_as("gb18030", "猫", "狗") == ("狗", "猫")  # the bytes of 猫 alone are UTF-8, too
    assert packed_as("gb18030", "貓", "東鳥") == ("東鳥", "貓")  # not in GB 2312
    assert packed_as("utf-8", "猫", "狗") == ("狗", "猫")
    assert packed_as(None, "猫", "狗") == ("狗", "猫")  # marked as UTF-8
    assert packed_as("cp437", "Größe", "Vögel") == ("Größe", "Vögel")
    assert packed_as("cp437", "ÄRGER", "Übel") == ("ÄRGER", "Übel")
    assert packed_as("big5", "小貓", "老虎", "大象") == ("大象", "小貓", "老虎")
    assert packed_as("euc_kr", "고양이 사진", "강아지 사진") == ("강아지 사진", "고양이 사진")
    assert packed_as("shift_jis", "ネコ", "いぬ") == ("いぬ", "ネコ")
    assert packed_as("cp866", "кошка", "собака") == ("кошка", "собака")
    assert packed_as("cp874", "แมวน้ำ", "หมาป่า") == ("หมาป่า", "แมวน้ำ")
    assert packed_as("gb18030", "王喆", "李犇") == ("李犇", "王喆")  # every other one is rare


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp852", ("żaba", "słoń")),
        ("cp852", ("książka", "święto", "księżyc")),
        ("cp1250", ("gęś", "pająk")),
        ("cp737", ("γάτα", "σκύλος")),
        ("cp737", ("άλογο", "δέντρο", "σπίτι")),
        ("cp1253", ("ελέφαντας", "αυτοκίνητο")),
    ],
)
def test_names_in_an_encoding_that_is_not_known_are_not_those_of_another_language(
    encoding: str, names: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aigc")
    found = classes(archive_of(tmp_path / "a.zip", {f"{name}/1.png": packed(ONE) for name in names}, encoding))
    assert found == tuple(sorted(name.encode(encoding).decode("cp437") for name in names))
    assert "are read as cp437: " in caplog.text


def test_a_guessed_encoding_of_names_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aigc")
    classes(archive_of(tmp_path / "a.zip", {f"{name}/1.png": packed(ONE) for name in ("猫", "狗")}, "gb18030"))
    assert "are read as GB18030: 猫/1.png" in caplog.text
    caplog.clear()
    classes(archive_of(tmp_path / "b.zip", {f"{name}/1.png": packed(ONE) for name in ("猫", "狗")}, "utf-8"))
    assert "read as" not in caplog.text


def test_images_of_other_shapes_are_counted_and_alpha_is_said_once(
    folder: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = folder({"1.png": pixels(1, 40, 100), "2.png": pixels(2, 8, 8), "3.png": pixels(3, 8, 8, 4)})
    caplog.set_level(logging.INFO, "aigc")

    def said(**settings: str) -> list[str]:
        caplog.clear()
        ImageData(str(place), resolution=8, batch_size=1, cache=str(tmp_path / "c"), **settings).prepare_data()
        return [message for message in caplog.messages if "decoding" not in message]

    size = "1 of 3 images are scaled to 8 x 8 pixels"
    first = said()
    assert f"{place}: 1 of 3 images are cut to the square in the middle, {size}" in first
    assert sum("alpha channels of images are ignored" in one for one in first) == 1
    assert said(crop="none") == [f"{place}: 1 of 3 images are squeezed to a square, {size}"]
    assert len(said(alpha="white")) == 0  # the same line once more, and nothing about alpha


def test_what_stands_in_the_place_of_images_is_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for content, what in {pointer: "a Git LFS pointer", b"<!DOCTYPE html><p>": "an HTML page"}.items():
        for name in ("a.zip", "a.npz", "a.npy", "a.h5"):
            (tmp_path / name).write_bytes(content)
            with pytest.raises(InputError, match=f"{name}: {what}.*, by its first bytes"):
                open_images(str(tmp_path / name))
        with pytest.raises(InputError, match=f"a.png: {what}.*, by its first bytes"):
            open_images(str(folder({"a.png": content}))).read(0)

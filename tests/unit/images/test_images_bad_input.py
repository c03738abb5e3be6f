"""What cannot be read is named, with what is allowed; nothing outside the set is touched."""

import logging
import os
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from aigc.data.images import open_images
from aigc.data.images.arrays import ArrayImages
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

ONE = pixels(0)


def refused(where: Path | str) -> str:
    with pytest.raises(InputError) as raised:
        open_images(str(where))
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_nothing_where_images_should_be(folder: Callable[..., Path], tmp_path: Path) -> None:
    place = folder({"notes.txt": b"1", "deep/table.csv": b"2", ".hidden.png": ONE})
    says = f"{place}: no image is in it; it holds 2 files: .csv 1, .txt 1. Names of images end in .png, .jpg, .jpeg, "
    assert refused(place).startswith(says)
    assert refused(tmp_path / "facse") == f"{tmp_path}/facse: no such file or folder. Did you mean 'faces'?"
    assert "The folder" in refused(tmp_path / "no/where")
    assert refused(" ").startswith("the path of the images is empty; allowed: a .zip file, ")
    assert refused("asset:emoji.png").startswith("There is no asset 'emoji.png'. Assets: couplets.tsv, digits8.npz, ")
    for other in ("asset:couplets.tsv", place / "notes.txt"):
        assert refused(other).endswith(
            "allowed: a .zip file, an .npy or .npz file, asset:digits8.npz, a folder of images, an .h5 or .hdf5 file, "
            "hub:NAME, fonts:letters, a folder saved by datasets, asset:emoji32.png, torchvision:NAME."
        )
    assert refused("font:letters").endswith("no such file or folder. Did you mean 'fonts:letters'?")
    assert refused("torchvison:MNIST").endswith("no such file or folder. Did you mean 'torchvision:MNIST'?")
    assert refused("x:y").endswith(" Names of sets begin with asset:, hub:, fonts:, torchvision:.")
    assert refused("x" * 5000).endswith(": cannot be read: File name too long.")


def test_pipes_sockets_and_devices_are_logged_and_not_opened(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = folder({"a.png": ONE})
    os.mkfifo(place / "pipe.png")  # opening it would wait for ever
    (place / "to pipe.png").symlink_to("pipe.png")
    monkeypatch.chdir(place)  # the path of a socket may not be long
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        images = open_images(".")
    assert len(images) == 1
    assert images.read(0).tolist() == ONE.tolist()
    assert len(images.fingerprint()) == 64
    assert ".: left out, as they are pipes, sockets or devices and no files: pipe.png, socket.png, to pipe.png (3)" in (
        caplog.text
    )
    assert refused("pipe.png").startswith("pipe.png: images cannot be read from it")


def test_links_out_of_the_folder_are_followed_as_in_the_cache_of_the_hub(folder: Callable[..., Path]) -> None:
    place = folder({"a/1.png": ONE})
    folder({"2.png": pixels(1), "more/3.png": pixels(2), "4.txt": b"no image"}, "outside")
    (place / "a/2.png").symlink_to("../../outside/2.png")
    (place / "b").symlink_to("../outside/more")
    images = open_images(str(place))
    assert [images.read(index).tolist() for index in range(3)] == [pixels(seed).tolist() for seed in range(3)]
    assert images.classes == ("a", "b")
    assert len(images.fingerprint()) == 64


def test_a_link_to_nothing_is_a_image_that_cannot_be_read(folder: Callable[..., Path]) -> None:
    place = folder({"a.png": ONE})
    (place / "b.png").symlink_to("gone.png")
    (place / "c.png").symlink_to("c.png")
    images = open_images(str(place))
    assert len(images.fingerprint()) == 64
    with pytest.raises(InputError, match=r"/faces/b\.png: cannot be read: No such file or directory\."):
        images.read(1)
    with pytest.raises(InputError, match=r"/faces/c\.png: cannot be read: Too many levels of symbolic links\."):
        images.read(2)


def test_a_folder_that_cannot_be_listed_is_named(folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder({"a.png": ONE, "closed/b.png": ONE})
    real = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert refused(place) == f"{place}/closed: cannot be listed: Permission denied."


def test_archives_that_cannot_be_read(folder: Callable[..., Path], tmp_path: Path) -> None:
    place = tmp_path / "a.zip"
    place.write_bytes(b"PK no archive")
    assert refused(place) == f"{place}: no whole .zip archive: File is not a zip file. Copy or download it again."
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("a.txt", "text")
    assert refused(place).startswith(f"{place}: no image is in it; it holds 1 file: .txt 1. ")
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("../../etc/a.png", packed(ONE))  # nothing is ever written
    assert refused(place) == f"{place}: the name '../../etc/a.png' leads out of the archive. Pack it anew."
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("b.png", packed(ONE))
    assert len(open_images(str(place))) == 1
    content = place.read_bytes()
    begin = content.index(packed(ONE), content.index(b"b.png"))
    place.write_bytes(content[: begin + 60] + b"damage" + content[begin + 66 :])
    images = open_images(str(place))
    assert len(images.fingerprint()) == 64
    with pytest.raises(InputError, match=r"a\.zip/b\.png: cannot be unpacked: Bad CRC-32 for file 'b\.png'\."):
        images.read(0)


def test_a_file_that_would_unpack_to_more_than_a_image_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "bomb.zip"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", packed(ONE) + bytes(9_000_000))
    images = open_images(str(place))
    assert images.read(0).tolist() == ONE.tolist()
    monkeypatch.setattr("aigc.data.images.formats.archive.MOST_BYTES", 9_000_000)
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # it is not begun with
    with pytest.raises(InputError, match=r"bomb\.zip/a\.png: 9,000,\d+ bytes unpacked, which is too large"):
        images.read(0)


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    place = tmp_path / "a.zip"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("a.png", packed(ONE))
    content = bytearray(place.read_bytes())
    for sign, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(sign) + offset] |= 1
    place.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: cannot be unpacked: .*is encrypted"):
        open_images(str(place)).read(0)


FORM = "needed is uint8 of shape (n, height, width, channels), (n, channels, height, width) or (n, height, width)"


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 6, 6, 3), np.float32), f"holds float32; {FORM}"),
        (np.zeros((2, 6, 6, 3), np.float32), "from floats: (x * 255).round().astype('uint8')."),
        (np.zeros((2, 6, 6, 3), np.int64), "holds int64; "),
        (np.zeros((6, 6, 3), np.uint8), "an array of shape (6, 6, 3); "),
        (np.zeros((6, 6), np.uint8), "an array of shape (6, 6); "),
        (np.zeros((2, 6, 6, 7), np.uint8), "an array of shape (2, 6, 6, 7); "),
        (np.zeros((0, 6, 6, 3), np.uint8), "an array of shape (0, 6, 6, 3); "),
        (np.zeros((2, 0, 6, 3), np.uint8), "an array of shape (2, 0, 6, 3); "),
    ],
)
def test_arrays_that_are_not_images_are_refused(tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.savez(tmp_path / "a.npz", images=array)
    assert says in refused(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"^mine: "):
        ArrayImages("mine", array)


def test_array_files_that_cannot_be_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, print], dtype=object), allow_pickle=True)
    assert "no whole .npy file of numbers" in refused(tmp_path / "a.npy")
    np.savez(tmp_path / "a.npz", images=np.array([{}, print], dtype=object), allow_pickle=True)
    assert "Object arrays cannot be loaded when allow_pickle=False" in refused(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros((9, 6, 6, 3), np.uint8))
    (tmp_path / "b.npy").write_bytes((tmp_path / "b.npy").read_bytes()[:500])
    assert "no whole .npy file of numbers: mmap length is greater than file size" in refused(tmp_path / "b.npy")
    for name in ("c.npy", "c.npz"):
        (tmp_path / name).write_bytes(b"")
        assert f"no whole .{name[2:]} file of numbers" in refused(tmp_path / name)
    np.savez(tmp_path / "d.npz", a=np.zeros((2, 6, 6, 3), np.uint8))
    (tmp_path / "d.npz").rename(tmp_path / "d.npy")
    assert refused(tmp_path / "d.npy").endswith("a .npz archive by its content; name it so.")


def test_an_archive_of_arrays_without_images_says_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "stats.npz", mu=np.zeros(4), sigma=np.eye(4))
    assert "a file of statistics (mu and sigma), not of images" in refused(tmp_path / "stats.npz")
    four = np.zeros((2, 6, 6, 3), np.uint8)
    np.savez(tmp_path / "two.npz", a=four, b=four)
    assert "holds a uint8 (2, 6, 6, 3), b uint8 (2, 6, 6, 3); needed is" in refused(tmp_path / "two.npz")
    assert "named images, arr_0, x, or no other of 4 axes." in refused(tmp_path / "two.npz")


def test_a_header_that_promises_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    header = np.lib.format.magic(1, 0)
    text = "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000, 1000, 1000, 3)}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("images.npy", header + len(text).to_bytes(2, "little") + text.encode())
    assert "'images' says it is of shape (10000000, 1000, 1000, 3), which is more than there is" in refused(
        tmp_path / "a.npz"
    )


def test_how_an_array_is_read_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 8, 9), np.uint8))
    with caplog.at_level(logging.INFO, "aigc"):
        open_images(str(tmp_path / "a.npy"))
    assert "uint8 of shape (2, 3, 8, 9): 2 images, height 8, width 9, channels 3" in caplog.text


@pytest.mark.parametrize("name", [b"\xc4\xe3.png", b"one\ntwo.png"])
def test_a_name_that_cannot_be_shown_is_refused(name: bytes, folder: Callable[..., Path]) -> None:
    place = folder({"a.png": ONE})
    (place / "a.png").rename(place / os.fsdecode(name))
    assert refused(place).endswith(f"the name {os.fsdecode(name)!a} has characters that cannot be shown; rename it.")


def test_spaces_of_other_scripts_are_names_like_others(folder: Callable[..., Path]) -> None:
    assert len(open_images(str(folder({"床前\u3000明月.png": ONE, "10.00\u202fAM.png": ONE})))) == 2

"""Images of an HDF5 file are those of any other array; files that lead elsewhere are refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from aigc.data.images import open_images
from aigc.errors import InputError

NOISE = np.random.default_rng(0).integers(0, 256, (11, 6, 5, 3), dtype=np.uint8)
LAYOUTS = {
    "last": NOISE,
    "first": NOISE.transpose(0, 3, 1, 2),
    "grey": NOISE[..., 0],
    "alpha": np.concatenate([NOISE, NOISE[..., :1]], axis=3),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "a.h5", **sets: object) -> Path:
        with h5py.File(tmp_path / name, "w") as file:
            for key, content in sets.items():
                if isinstance(content, h5py.ExternalLink | h5py.SoftLink):
                    file[key] = content
                else:
                    file.create_dataset(key, data=content, **({"chunks": True} if np.ndim(content) == 4 else {}))
        return tmp_path / name

    return write


def refused(where: Path) -> str:
    with pytest.raises(InputError) as raised:
        open_images(str(where))
    return str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_images_are_those_of_the_same_array(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, block: int
) -> None:
    monkeypatch.setattr("aigc.data.images.formats.hdf5._BLOCK", block)
    place = write("a.HDF5", images=LAYOUTS[layout], labels=np.arange(11) % 3 + 7)
    np.save(tmp_path / "a.npy", LAYOUTS[layout])
    for alpha in ("drop", "white"):
        found, expected = open_images(str(place), alpha=alpha), open_images(str(tmp_path / "a.npy"), alpha=alpha)
        assert len(found) == 11
        for index in (10, 0, 5, 4):  # blocks in any order
            assert np.array_equal(found.read(index), expected.read(index))
        assert found.read(3).flags.writeable
    assert found.labels is not None
    assert (found.labels.tolist(), found.classes) == ([index % 3 for index in range(11)], ("7", "8", "9"))
    assert found.name_of(2) == f"{place}[2]"


def test_a_file_in_order_is_read_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, real = [], h5py.File

    def counted(*arguments: object) -> h5py.File:
        opened.append(arguments)
        return real(*arguments)

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", data=NOISE, chunks=(2, 6, 5, 3))
    monkeypatch.setattr("aigc.data.images.formats.hdf5._BLOCK", 5 * NOISE[0].nbytes)  # two chunks
    images = open_images(str(tmp_path / "a.h5"))
    monkeypatch.setattr(h5py, "File", counted)
    assert np.array_equal(np.stack([images.read(index) for index in range(11)]), NOISE)
    assert len(opened) == 3


def test_the_fingerprint_is_that_of_the_content(write: Callable[..., Path]) -> None:
    images = open_images(str(write(images=LAYOUTS["alpha"])))
    begin = images.fingerprint()
    assert begin == open_images(str(write("b.h5", images=LAYOUTS["alpha"]))).fingerprint()
    assert begin != open_images(images.name, alpha="white").fingerprint()
    assert not images.has_changed()
    write(images=LAYOUTS["alpha"][::-1])
    assert images.has_changed()
    assert open_images(images.name).fingerprint() != begin


def test_files_without_images_say_what_is_there(write: Callable[..., Path], tmp_path: Path) -> None:
    assert "holds faces uint8 (3,); needed is uint8 of shape" in refused(write(faces=np.zeros(3, np.uint8)))
    assert "a.h5: holds float64; needed is uint8" in refused(write(images=np.zeros((2, 6, 6, 3))))
    assert "an array of shape (); needed is" in refused(write(images=np.uint8(3)))
    assert "an array of shape (2, 6, 6, 7); needed is" in refused(write(images=np.zeros((2, 6, 6, 7), np.uint8)))
    (tmp_path / "text.h5").write_text("text")
    assert refused(tmp_path / "text.h5").startswith(f"{tmp_path}/text.h5: no whole HDF5 file: ")
    assert "file signature not found" in refused(tmp_path / "text.h5")
    whole = write(images=NOISE).read_bytes()
    (tmp_path / "short.h5").write_bytes(whole[: len(whole) // 2])
    assert "no whole HDF5 file: " in refused(tmp_path / "short.h5")


def test_a_damaged_block_names_the_image(tmp_path: Path) -> None:
    place = tmp_path / "a.h5"
    with h5py.File(place, "w") as file:
        file.create_dataset("images", data=NOISE, chunks=(11, 6, 5, 3), compression="gzip", fletcher32=True)
        offset = file["images"].id.get_chunk_info(0).byte_offset
    content = bytearray(place.read_bytes())
    content[offset + 20] ^= 255
    place.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5\[3\]: cannot be read: "):
        open_images(str(place)).read(3)


def test_a_file_that_leads_to_another_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    other = write("other.h5", images=NOISE)
    says = "a.h5: 'images' is a link, or lies in another file. Copy what it leads to into this one."
    assert refused(write(images=h5py.ExternalLink("other.h5", "images"))).endswith(says)
    assert refused(write(link=h5py.ExternalLink("other.h5", "/"), images=h5py.SoftLink("/link/images"))).endswith(says)
    layout = h5py.VirtualLayout(shape=NOISE.shape, dtype=np.uint8)
    layout[:] = h5py.VirtualSource(other, "images", shape=NOISE.shape)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_virtual_dataset("images", layout)
    assert refused(tmp_path / "a.h5").endswith(says)
    (tmp_path / "secret").write_bytes(NOISE.tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", NOISE.shape, np.uint8, external=str(tmp_path / "secret"))
        assert np.array_equal(file["images"][:], NOISE)  # what it would show
    assert refused(tmp_path / "a.h5").endswith(says)


def test_a_missing_package_is_named(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(images=NOISE)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refused(place) == f"{place}: HDF5 needs a package that is missing: pip install 'aigc[hdf5]'."

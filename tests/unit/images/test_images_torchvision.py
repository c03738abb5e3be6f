"""Sets of torchvision are read from files in their own formats; what is missing is named, and fetched only if asked."""

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from aigc.data.images import ImageData, Images, open_images
from aigc.data.images.formats import torchvision_sets
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

GREY = np.random.default_rng(0).integers(0, 256, (12, 28, 28), dtype=np.uint8)
CLASSES = np.arange(12, dtype=np.uint8) % 10


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder: Path, suffix: str = "", images: bytes = idx(GREY), labels: bytes = idx(CLASSES)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        place = folder / f"train-{name}-ubyte{suffix}"
        place.write_bytes(gzip.compress(content) if suffix else content)
    return folder


def opened(name: str, root: Path, **settings: object) -> Images:
    return open_images(f"torchvision:{name}", root=str(root), **settings)  # type: ignore[arg-type]


def refused(name: str, root: Path, **settings: object) -> str:
    with pytest.raises(InputError) as raised:
        opened(name, root, **settings)
    return str(raised.value).replace(str(root), "ROOT")


@pytest.mark.parametrize(("name", "suffix"), [("MNIST", ""), ("FashionMNIST", ".gz")])
def test_idx_files_are_read_packed_or_not(tmp_path: Path, name: str, suffix: str) -> None:
    write_mnist(tmp_path / name / "raw", suffix)
    images = opened(name, tmp_path)
    assert np.array_equal(np.stack([images.read(index)[..., 0] for index in range(12)]), GREY)
    assert images.labels is not None
    assert (images.labels.tolist(), len(images.classes)) == (CLASSES.tolist(), 10)
    assert images.classes[3] == ("3" if name == "MNIST" else "Dress")
    assert images.name_of(4) == f"torchvision:{name}[4]"
    data = ImageData(
        f"torchvision:{name}",
        root=str(tmp_path),
        labels=True,
        channels=1,
        batch_size=12,
        shuffle=False,
        cache=str(tmp_path / "cache"),
    )
    data.prepare_data()
    assert np.array_equal(next(iter(data.train_dataloader()))["images"][:, 0].numpy(), GREY)


def test_a_package_s_folder_is_found_where_the_own_has_no_files(tmp_path: Path) -> None:
    place = write_mnist(tmp_path / "package", ".gz")
    find = torchvision_sets._mnist(torchvision_sets._CLOTHES, place)
    assert len(find("torchvision:FashionMNIST", tmp_path / "none", "drop")) == 12
    write_mnist(tmp_path / "own", images=idx(GREY[:5]), labels=idx(CLASSES[:5]))
    assert len(find("torchvision:FashionMNIST", tmp_path / "own", "drop")) == 5


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (idx(GREY)[:-1], idx(CLASSES), "images-idx3-ubyte: no whole idx file: cannot reshape"),
        (idx(GREY) + b"1", idx(CLASSES), "images-idx3-ubyte: no whole idx file: cannot reshape"),
        (b"\0\0\x0d\3" + bytes(12), idx(CLASSES), "no whole idx file: it does not begin like one of uint8"),
        (b"", idx(CLASSES), "no whole idx file: unpack requires"),
        (idx(GREY), idx(CLASSES[:-1]), "labels-idx1-ubyte has no label for each image of ROOT/MNIST/raw/train-im"),
        (idx(GREY), idx(CLASSES + 1), "has no label for each image"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, images: bytes, labels: bytes, says: str) -> None:
    write_mnist(tmp_path / "MNIST/raw", "", images, labels)
    assert says in refused("MNIST", tmp_path)


@pytest.fixture
def cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CIFAR-10 of two images a batch, whose checksums torchvision takes for right."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name: str, content: dict) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    batches = []
    for number, (name, _) in enumerate(CIFAR10.train_list + CIFAR10.test_list):
        rows = np.stack([pixels(2 * number + i, 32, 32).transpose(2, 0, 1).reshape(-1) for i in range(2)])
        batches.append(write(name, {"data": rows, "labels": [number, 9 - number]}))
    name, md5 = write("batches.meta", {"label_names": [f"class {number}" for number in range(10)]})
    monkeypatch.setattr(CIFAR10, "train_list", batches[:5])
    monkeypatch.setattr(CIFAR10, "test_list", batches[5:])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    return tmp_path


def test_cifar_10_gives_its_training_images(cifar: Path) -> None:
    images = opened("CIFAR10", cifar)
    assert len(images) == 10
    assert all(np.array_equal(images.read(index), pixels(index, 32, 32)) for index in range(10))
    assert images.labels is not None
    assert images.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert images.classes[2] == "class 2"
    batch = cifar / "cifar-10-batches-py/data_batch_3"
    batch.write_bytes(batch.read_bytes() + b"\0")
    (batch.parent / "test_batch").unlink()
    assert "ROOT/cifar-10-batches-py lacks data_batch_3, test_batch. Set" in refused("CIFAR10", cifar)


@pytest.mark.parametrize("kind", ["folder", "nested", "archive"])
def test_celeba_gives_the_images_that_are_for_training(tmp_path: Path, kind: str, caplog: object) -> None:
    import zipfile

    files = {f"{number:06}.jpg": packed(pixels(number, 8, 6), "JPEG") for number in range(1, 7)}
    base = tmp_path / "celeba"
    folder = base / "img_align_celeba" / ("img_align_celeba" if kind == "nested" else "")
    (base if kind == "archive" else folder).mkdir(parents=True)
    if kind == "archive":
        with zipfile.ZipFile(base / "img_align_celeba.zip", "w") as archive:
            for name, content in files.items():
                archive.writestr(f"img_align_celeba/{name}", content)
    else:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    says = "ROOT/celeba lacks list_eval_partition.txt. Set data.download=true to fetch the set, or set data.root to"
    assert says in refused("CelebA", tmp_path)
    table = base / "list_eval_partition.txt"
    table.write_text("".join(f"{number:06}.jpg {number % 3}\n" for number in range(1, 10)))
    images = opened("CelebA", tmp_path)
    assert (len(images), images.labels) == (2, None)
    assert [images.name_of(index)[-10:] for index in range(2)] == ["000003.jpg", "000006.jpg"]
    assert images.read(1).shape == (8, 6, 3)
    assert "1 of 3 training images are missing in " in caplog.text  # type: ignore[attr-defined]
    table.write_text("000001.jpg,0\n")
    assert "list_eval_partition.txt names no image of" in refused("CelebA", tmp_path)


def test_lfw_has_a_class_for_each_person(folder: Callable[..., Path]) -> None:
    one = packed(pixels(0), "JPEG")
    files = {f"lfw-py/lfw_funneled/{name}/{name}_0001.jpg": one for name in ("Ada", "Bob")}
    root = folder(files | {"lfw-py/lfw_funneled/Bob/Bob_0002.jpg": one}, "root")
    images = opened("LFW", root)
    assert images.labels is not None
    assert (images.labels.tolist(), images.classes) == ([0, 1, 1], ("Ada", "Bob"))
    (root / "lfw-py/lfw-deepfunneled").mkdir()
    (root / "lfw-py/lfw_funneled").rename(root / "lfw-py/lfw-deepfunneled/lfw-deepfunneled")
    assert opened("LFW", root).classes == ("Ada", "Bob")
    (root / "lfw-py/lfw-deepfunneled").rename(root / "lfw-py/other")
    says = "ROOT/lfw-py lacks lfw_funneled/. Put them there, or set data.root to the folder that holds lfw-py/."
    assert says in refused("LFW", root, download=True)
    assert refused("LFW", root, download=True).endswith("The set is no longer offered for download.")


def test_nothing_is_fetched_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import datasets

    def fetch(root: str, download: bool) -> None:
        fetched.append((root, download))
        if broken:
            raise URLError("no network.\nreally")
        write_mnist(Path(root) / ("MNIST/raw" if Path(root).name == "new" else "elsewhere"))

    fetched: list[tuple[str, bool]] = []
    broken = True
    monkeypatch.setattr(datasets, "MNIST", fetch)
    lacks = "ROOT/MNIST/raw lacks train-images-idx3-ubyte, train-labels-idx1-ubyte. "
    elsewhere = "or set data.root to the folder that holds MNIST/raw/."
    assert refused("MNIST", tmp_path) == (
        f"torchvision:MNIST: {lacks}Set data.download=true to fetch the set, {elsewhere}"
    )
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    by_hand = f"torchvision:MNIST: {lacks}Put them there, {elsewhere}"
    assert refused("MNIST", tmp_path, download=True) == (
        f"{by_hand} Nothing is downloaded while HF_HUB_OFFLINE is set."
    )
    assert fetched == []
    monkeypatch.delenv("HF_HUB_OFFLINE")
    assert refused("MNIST", tmp_path / "new", download=True).endswith(
        "cannot be downloaded: <urlopen error no network."
    )
    broken = False
    assert refused("MNIST", tmp_path / "bad", download=True).endswith(
        " The download did not bring train-images-idx3-ubyte, train-labels-idx1-ubyte."
    )
    fetched.clear()
    assert len(opened("MNIST", tmp_path / "new", download=True)) == 12
    assert fetched == [(str(tmp_path / "new"), True)]
    assert len(opened("MNIST", tmp_path / "new", download=True)) == 12
    assert len(fetched) == 1


def test_another_name_gets_the_nearest(tmp_path: Path) -> None:
    assert refused("mnist", tmp_path).startswith("torchvision:mnist: there is no such set. Did you mean MNIST? Allowed")

"""Data sets of the `datasets` library give their images and classes, and no file of this machine."""

import logging
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest

from aigc.data.images import ImageData, open_images
from aigc.errors import InputError
from tests.unit.images.images_samples import packed, pixels

Image, ClassLabel, Value = datasets.Image, datasets.ClassLabel, datasets.Value
LABEL = ClassLabel(names=["cat", "dog", "fox"])


def made(labels: list | None = None, image: str = "image", label: str = "label", kind: object = LABEL) -> object:
    rows: dict = {image: [{"bytes": packed(pixels(index)), "path": None} for index in range(5)]}
    features = {image: Image()}
    if labels is not None:
        rows[label], features[label] = labels, kind
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., str]:
    def save(dataset: object, name: str = "saved") -> str:
        dataset.save_to_disk(tmp_path / name)
        return str(tmp_path / name)

    return save


@pytest.fixture(autouse=True)
def _silent() -> None:
    datasets.disable_progress_bars()


def test_a_saved_set_gives_its_images_and_classes(save: Callable[..., str], tmp_path: Path) -> None:
    place = save(made([0, 1, 1, 0, 2]))
    images = open_images(place)
    assert [images.read(index).tolist() for index in range(5)] == [pixels(index).tolist() for index in range(5)]
    assert images.labels is not None
    assert (images.labels.tolist(), images.classes) == ([0, 1, 1, 0, 2], ("cat", "dog", "fox"))
    clear = np.zeros((4, 4, 4), np.uint8)
    rows = [{"bytes": packed(clear), "path": None}]
    other = save(datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": Image()})), "clear")
    assert [int(open_images(other, alpha=alpha).read(0).max()) for alpha in ("drop", "white")] == [0, 255]
    assert images.name_of(1) == f"{place}, row 2"
    data = ImageData(place, labels=True, resolution=4, batch_size=2, cache=str(tmp_path / "cache"))
    data.prepare_data()
    assert data.classes == ("cat", "dog", "fox")
    splits = datasets.DatasetDict({"test": made([0] * 5), "train": made([1] * 5)})
    assert open_images(save(splits, "splits")).labels.tolist() == [1] * 5  # type: ignore[union-attr]


def test_columns_of_other_names_are_found_by_their_kind(save: Callable[..., str]) -> None:
    images = open_images(save(made([2, 1, 1, 0, 2], image="img", label="animal")))
    assert images.labels is not None
    assert images.labels.tolist() == [2, 1, 1, 0, 2]
    both = datasets.concatenate_datasets([made(image="img"), made(image="photo")], axis=1)
    with pytest.raises(InputError, match=r"needed is a column 'image', or one alone of type Image; columns: img \(Im"):
        open_images(save(both, "both"))
    text = datasets.Dataset.from_dict({"image": ["a", "b"]})
    with pytest.raises(InputError, match=r"columns: image \(Value\)\."):
        open_images(save(text, "text"))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([7, 3, 3, 7, 7], Value("int64"), ([1, 0, 0, 1, 1], ("3", "7"))),
        (["b", "a", "b", "b", "b"], Value("string"), ([1, 0, 1, 1, 1], ("a", "b"))),
        ([0, 1, -1, 0, 0], LABEL, None),
        ([0.5] * 5, Value("float32"), None),
        (["a", "b", None, "a", "b"], Value("string"), None),
    ],
)
def test_labels_of_any_kind_that_names_classes_are_taken(
    save: Callable[..., str], values: list, kind: object, expected: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "aigc"):
        images = open_images(save(made(values, kind=kind)))
    if expected:
        assert images.labels is not None
        assert (images.labels.tolist(), images.classes) == expected
    else:
        assert images.labels is None
        assert "'label' does not have a label for each image but " in caplog.text


def test_a_image_that_cannot_be_read_is_named_by_its_row(save: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(packed(pixels(0)))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/own.png").write_bytes(packed(pixels(9)))
    found = [(b"text", None), (None, str(tmp_path / "secret.png")), (None, str(tmp_path / "saved/own.png"))]
    rows: list = [{"bytes": content, "path": path} for content, path in found] + [None]
    plain = datasets.Dataset.from_dict({"image": rows}, features=datasets.Features({"image": Image(decode=False)}))
    plain = plain.cast_column("image", Image())
    plain.save_to_disk(tmp_path / "embedded")  # which puts files into the set
    assert open_images(str(tmp_path / "embedded")).read(1).tolist() == pixels(0).tolist()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aigc.data.text.hub.datasets.load_from_disk", lambda _: plain)
        images = open_images(save(made()))
    with pytest.raises(InputError, match=r"saved, row 1: no image, or damaged in its first bytes"):
        images.read(0)
    with pytest.raises(InputError, match=r"saved, row 2: its image is a file elsewhere, .*/secret\.png\. Save the"):
        images.read(1)
    assert images.read(2).tolist() == pixels(9).tolist()
    (tmp_path / "saved/own.png").unlink()
    with pytest.raises(InputError, match=r"saved, row 3: there is no file .*/saved/own\.png\."):
        images.read(2)
    with pytest.raises(InputError, match=r"saved, row 4: there is no image\."):
        images.read(3)


def test_a_saved_set_is_known_by_its_content(save: Callable[..., str]) -> None:
    place = save(made([0, 1, 1, 0, 2]))
    images = open_images(place)
    assert images.fingerprint() == open_images(save(made([0, 1, 1, 0, 2]), "again")).fingerprint()
    assert images.fingerprint() != open_images(place, alpha="white").fingerprint()
    assert not images.has_changed()
    begin = images.fingerprint()
    save(made([0, 1, 1, 0, 0]))
    assert images.has_changed()
    assert open_images(place).fingerprint() != begin


def test_a_set_of_the_hub_is_asked_for_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(name: str, **_: object) -> object:
        asked.append(name)
        return datasets.DatasetDict({"train": made([0, 1, 1, 0, 2])})

    with monkeypatch.context() as patch:
        patch.setattr("aigc.data.text.hub.datasets.load_dataset", load)
        images = open_images("hub:someone/animals")
    assert asked == ["someone/animals"]
    assert np.array_equal(images.read(4), pixels(4))
    assert images.name_of(4) == "hub:someone/animals, row 5"
    with pytest.raises(InputError, match=r"no such data set could be loaded from the Hub\..* \(HF_HUB_OFFLINE\)"):
        open_images("hub:someone/animals")
    for wrong in ("hub:", "hub:/etc", "hub:a/b/c"):
        with pytest.raises(InputError, match=r"after hub: stands the name of a data set, as in hub:ylecun/mnist\."):
            open_images(wrong)

"""Flips and shifts of training images: what padding and cutting would give, drawn from whole numbers alone."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning import LightningModule, Trainer

from aigc.data.images import ImageData
from aigc.data.images.batches import ImageRows, Resident
from aigc.data.images.views import INDEX, LEFT, MIRRORED, TOP, Views
from aigc.errors import InputError


@given(st.integers(0, 9), st.booleans(), st.integers(0, 4), st.sampled_from([1, 3]), st.integers(5, 9))
def test_pixels_are_those_of_a_padded_window(seed: int, flip: bool, shift: int, channels: int, width: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (6, channels, 6, width), dtype=np.uint8)
    views = Views(seed, flip, shift)
    places = views.draw(3, np.arange(6))
    found = views.show(torch.from_numpy(images), torch.from_numpy(places)).numpy()
    padded = np.pad(images, ((0, 0), (0, 0), (shift, shift), (shift, shift)), mode="reflect")
    for image, whole, place in zip(found, padded, places, strict=True):
        expected = whole[:, place[TOP] : place[TOP] + 6, place[LEFT] : place[LEFT] + width]
        assert np.array_equal(image, expected[..., ::-1] if place[MIRRORED] else expected)


def test_a_image_is_drawn_by_seed_epoch_and_number_alone() -> None:
    views = Views(5, True, 4)
    whole = views.draw(2, np.arange(1000))
    some = np.random.default_rng(0).permutation(1000)[:50]
    assert np.array_equal(views.draw(2, some), whole[some])
    for other in (views.draw(3, np.arange(1000)), Views(6, True, 4).draw(2, np.arange(1000))):
        assert np.array_equal(other[:, INDEX], whole[:, INDEX])
        for column, chance in ((MIRRORED, 1 / 2), (TOP, 1 / 9), (LEFT, 1 / 9)):  # as often alike as by chance
            assert abs(np.mean(other[:, column] == whole[:, column]) - chance) < 0.06
    assert not Views(5).draw(2, np.arange(1000))[:, 1:].any()


def test_all_views_are_equally_frequent() -> None:
    places = Views(0, True, 2).draw(0, np.arange(50_000))
    _, counts = np.unique(places[:, 1:], axis=0, return_counts=True)
    assert len(counts) == 2 * 5 * 5
    assert np.square(counts - 1000).sum() / 1000 < 86  # chi-squared of 49 degrees of freedom: one in a thousand


def test_a_shift_must_leave_something_to_reflect(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 6, 6, 3), np.uint8))
    settings = {"batch_size": 2, "cache": str(tmp_path / "cache")}
    with pytest.raises(InputError, match=r"data\.shift is 6; allowed: less than the images' height, 6\."):
        ImageData(str(tmp_path / "a.npy"), shift=6, **settings).prepare_data()
    data = ImageData(str(tmp_path / "a.npy"), shift=5, **settings)
    data.prepare_data()
    assert len(list(data.train_dataloader())) == 2


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., ImageData]:
    """Data of 20 images of noise with labels."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=noise, labels=np.arange(20) % 2)

    def make(**settings: object) -> ImageData:
        chosen = {"batch_size": 4, "labels": True, "cache": str(tmp_path / "cache"), "flip": True, "shift": 2}
        data = ImageData(str(tmp_path / "a.npz"), **(chosen | settings))
        data.prepare_data()
        return data

    return make


class Seen(LightningModule):
    """Keeps its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.batches: list[dict] = []

    def training_step(self, batch: dict, index: int) -> None:
        self.batches.append({name: value.tolist() for name, value in batch.items()})

    def configure_optimizers(self) -> None:
        return None


def trained(data: ImageData, folder: Path) -> list[dict]:
    module = Seen()
    Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
    ).fit(module, datamodule=data)  # fmt: skip
    return module.batches


def test_batches_made_on_the_device_have_the_same_bits(make: Callable[..., ImageData], tmp_path: Path) -> None:
    expected = trained(make(on_device=False), tmp_path)
    data = make(on_device=True)
    assert set(next(iter(data.train_dataloader()))) == {"views"}
    assert trained(data, tmp_path) == expected
    assert len(expected) == 10
    assert set(expected[0]) == {"images", "labels"}
    assert trained(make(on_device="auto", shift=1), tmp_path) != expected


@pytest.mark.parametrize(("flip", "shift", "labels"), [(True, 3, True), (True, 0, False), (False, 0, True)])
def test_a_copy_on_the_device_gives_what_the_file_gives(
    make: Callable[..., ImageData], flip: bool, shift: int, labels: bool
) -> None:
    images = ImageRows(make().prepared.folder, labels, Views(1, flip, shift))
    places = torch.from_numpy(images.views.draw(4, np.arange(19, -1, -1)))
    expected, found = images.batch(places), Resident(images, torch.device("cpu")).batch(places)
    assert set(found) == set(expected) == {"images", "labels"} - ({"labels"} if not labels else set())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("on_device", "kind", "most", "views_only"),
    [
        ("auto", "cpu", 1 << 30, False),
        ("auto", "cuda", 1 << 30, True),
        ("auto", "cuda", 2000, False),
        (True, "cuda", 0, True),
        (False, "cuda", 1 << 30, False),
    ],
)
def test_small_sets_are_kept_on_an_accelerator(
    make: Callable[..., ImageData],
    monkeypatch: pytest.MonkeyPatch,
    on_device: object,
    kind: str,
    most: int,
    views_only: bool,
) -> None:
    monkeypatch.setattr("aigc.data.images.data.MOST_RESIDENT", most)
    data = make(on_device=on_device)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(kind)))
    assert data.train_dataloader().dataset.views_only is views_only


def test_what_is_copied_to_a_device_is_freed_at_the_end(make: Callable[..., ImageData]) -> None:
    data, meta = make(on_device=True), torch.device("meta")
    batch = data.transfer_batch_to_device(next(iter(data.train_dataloader())), meta, 0)
    assert {name: (value.device, value.shape[0]) for name, value in batch.items()} == {
        "images": (meta, 4), "labels": (meta, 4)
    }  # fmt: skip
    assert isinstance(data._resident, Resident)
    data.teardown()
    assert data._resident is None

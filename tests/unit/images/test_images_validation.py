"""Held-out images are never trained on, nor are copies of them, and count once on any number of ranks."""

import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.data.images import ImageData
from aigc.data.images.batches import ImageRows, ValidationImages
from aigc.errors import InputError
from aigc.tasks import Task
from tests.unit.images.images_samples import Validates

NOISE = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), np.uint8)


def saved(path: Path, images: np.ndarray, labels: np.ndarray | None = None) -> str:
    arrays = {"images": images} | ({} if labels is None else {"labels": labels})
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def opened(path: str, cache: Path, **changes: Any) -> ImageData:
    data = ImageData(path, cache=str(cache), **({"batch_size": 4} | changes))
    data.setup()
    return data


def contents(batches: Any) -> list[bytes]:
    """The pixels of each image that counts."""
    return [
        image.numpy().tobytes()
        for batch in batches
        for image in batch["images"][: batch.get("samples", len(batch["images"]))]
    ]


def test_no_image_is_on_both_sides_and_copies_stay_together(tmp_path: Path) -> None:
    path = saved(tmp_path / "twice.npz", np.concatenate([NOISE, NOISE]))
    for seed in range(5):
        data = opened(path, tmp_path / "c", validation_fraction=0.25, seed=seed, batch_size=1)
        train, validation = contents(data.train_dataloader()), contents(data.val_dataloader())
        assert (len(train), len(validation)) == (60, 20)
        assert not set(train) & set(validation)
        assert len(set(validation)) == 10
        assert data.info["train"] == {"images": 60}
        assert data.info["validation"] == {"rows": 20, "images": 20}
        assert len(data.images) == 60
        assert {data.images.read(i).transpose(2, 0, 1).tobytes() for i in range(60)} == set(train)


@settings(max_examples=40, deadline=None)
@given(
    drawn=st.lists(st.integers(0, 3), min_size=6, max_size=12), fraction=st.floats(0.05, 0.6), seed=st.integers(0, 99)
)
def test_no_class_is_left_out_of_training(
    drawn: list[int], fraction: float, seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, labels = tmp_path_factory.mktemp("classes"), np.unique([*drawn, 4, 4], return_inverse=True)[1]
    images = NOISE[: len(labels) - 1][[*range(len(labels) - 1), 0]]  # the last is a copy of the first
    path = saved(folder / "a.npz", images, labels)
    settings = {"validation_fraction": fraction, "seed": seed, "batch_size": 1}
    plain = opened(path, folder / "c", **settings)
    distinct = len(labels) - 1
    data = ImageData(path, cache=str(folder / "c"), labels=True, **settings)  # type: ignore[arg-type]
    if round(fraction * distinct) > distinct - len(set(labels)):
        with suppress(InputError):  # such a share keeps all classes by chance alone
            data.setup()
            assert set(data.images.labels) == set(labels)  # type: ignore[arg-type]
        return
    data.setup()
    seen = {int(batch["labels"]) for batch in data.train_dataloader()}
    assert seen == set(labels)
    train, validation = contents(data.train_dataloader()), set(contents(data.val_dataloader()))
    assert not set(train) & validation
    assert len(validation) == len(set(contents(plain.val_dataloader())))
    if set(plain.images.labels) == set(labels):  # type: ignore[arg-type]
        assert validation == set(contents(plain.val_dataloader()))  # as earlier versions chose


def test_another_seed_holds_out_others_and_the_same_seed_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", NOISE)

    def heldout(seed: int) -> tuple[list[bytes], str]:
        data = opened(path, tmp_path / "c", validation_fraction=0.25, seed=seed)
        return contents(data.val_dataloader()), data.fingerprint

    assert heldout(0) == heldout(0)
    assert heldout(0)[0] != heldout(1)[0]
    assert heldout(0)[1] != heldout(1)[1]  # a resumed run would notice


def test_by_default_all_are_trained_on(tmp_path: Path) -> None:
    data = opened(saved(tmp_path / "a.npz", NOISE), tmp_path / "c")
    assert data.val_dataloader() == []
    assert data.info["train"] == {"images": 40}
    assert data.info["validation"] == {"rows": 0}
    assert len(set(contents(data.train_dataloader()))) == 40


def test_validation_images_come_in_order_and_as_they_are(tmp_path: Path) -> None:
    labels = np.arange(40) % 3
    path = saved(tmp_path / "a.npz", NOISE, labels)
    data = opened(path, tmp_path / "c", validation_fraction=0.25, labels=True, flip=True, shift=2)
    by_content = {image.transpose(2, 0, 1).tobytes(): (index, labels[index]) for index, image in enumerate(NOISE)}
    batches = list(data.val_dataloader())
    found = [by_content[content] for content in contents(batches)]
    assert found == sorted(found)
    assert [int(label) for batch in batches for label in batch["labels"]] == [label for _, label in found]
    assert [batch["samples"] for batch in batches] == [4, 4, 2]
    shares = np.bincount(data.images.labels)  # type: ignore[arg-type]
    assert shares.sum() == 30
    assert (shares + np.bincount([label for _, label in found], minlength=3) == np.bincount(labels)).all()


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 20), batch_size=st.integers(1, 6), world_size=st.integers(1, 6))
def test_each_validation_image_counts_on_one_rank(
    count: int, batch_size: int, world_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pixels")
    np.save(folder / "pixels.npy", np.arange(count, dtype=np.uint8)[:, None, None, None])
    rows = ImageRows(folder, False)
    ranks = [ValidationImages(rows, batch_size, rank, world_size) for rank in range(world_size)]
    assert len({len(dealt) for dealt in ranks}) == 1
    batches = [dealt[index] for dealt in ranks for index in range(len(dealt))]
    assert sorted(contents(batches)) == [bytes([number]) for number in range(count)]


def test_a_set_of_its_own_for_validation_must_be_like_that_for_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = saved(tmp_path / "train.npz", NOISE[:30], np.arange(30) % 2)
    other = saved(tmp_path / "other.npz", NOISE[28:], np.arange(12) % 2)
    with caplog.at_level(logging.WARNING, "aigc"):
        data = opened(train, tmp_path / "c", validation_path=other, validation_fraction=0.5, labels=True)
    assert "shares 2 images with" in caplog.text
    assert len(contents(data.val_dataloader())) == 12
    assert data.info["train"] == {"images": 30}
    assert torch.equal(next(iter(data.val_dataloader()))["labels"], torch.tensor([0, 1, 0, 1]))
    wrong = saved(tmp_path / "wrong.npz", NOISE[:6], np.arange(6) % 3)
    with pytest.raises(InputError, match=r"data\.validation_path: .* has the classes 0, 1, 2"):
        opened(train, tmp_path / "c", validation_path=wrong, labels=True)
    with pytest.raises(InputError, match=r"data\.validation_path: .* Set data\.resolution"):
        opened(train, tmp_path / "c", validation_path=saved(tmp_path / "small.npz", NOISE[:, :4, :4]))


def test_shares_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    two = saved(tmp_path / "two.npz", NOISE[:4], np.array([0, 0, 1, 1]))
    with pytest.raises(InputError, match=r"validation_fraction 0\.7 of 4 distinct images leaves none of some"):
        opened(two, tmp_path / "c", validation_fraction=0.7, labels=True, batch_size=1)
    path = saved(tmp_path / "a.npz", np.repeat(NOISE[:1], 9, axis=0))
    with pytest.raises(InputError, match=r"validation_fraction 0\.1 of 1 distinct image leaves none"):
        opened(path, tmp_path / "c", validation_fraction=0.1)
    with pytest.raises(InputError, match=r"validation_fraction is 1\.0; allowed"):
        ImageData(path, validation_fraction=1.0)
    with pytest.raises(InputError, match=r"gives 30 images, fewer than data\.batch_size 32"):
        opened(saved(tmp_path / "b.npz", NOISE), tmp_path / "c", validation_fraction=0.25, batch_size=32)


def test_batches_on_the_device_leave_held_out_images_out(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", NOISE)
    data = opened(path, tmp_path / "c", validation_fraction=0.25, on_device=True, batch_size=1)
    cpu = torch.device("cpu")
    train = contents(data.transfer_batch_to_device(batch, cpu, 0) for batch in data.train_dataloader())
    assert len(set(train)) == 30
    assert not set(train) & set(contents(data.val_dataloader()))


def test_held_out_images_are_validated_on_by_a_task_that_does(tmp_path: Path) -> None:
    data = opened(saved(tmp_path / "a.npz", NOISE), tmp_path / "c", validation_fraction=0.25)
    assert Validates().has_validation(data)
    assert not Task().has_validation(data)  # a GAN has no validation step, and trains all the same

"""The datamodule gives the images of the set in an order that can be entered anywhere."""

import logging
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor, nn

from aigc.data.images import ImageData, open_images, to_float
from aigc.data.progress import log_once
from aigc.errors import InputError
from tests.unit.images.images_samples import Validates, pixels


@pytest.fixture
def make(folder: Callable[..., Path], tmp_path: Path) -> Callable[..., ImageData]:
    """Data of 21 images of 6 x 6 pixels in three classes."""
    place = folder({f"{'abc'[index % 3]}/{index:02}.png": pixels(index, 6, 6) for index in range(21)})

    def make(**settings: object) -> ImageData:
        data = ImageData(str(place), **({"batch_size": 4, "cache": str(tmp_path / "cache")} | settings))
        data.prepare_data()
        data.setup("fit")
        return data

    return make


def epochs(data: ImageData, number: int = 2) -> list[list[list]]:
    loader = data.train_dataloader()
    taken = []
    for epoch in range(number):
        loader.sampler.set_epoch(epoch)
        taken.append([batch["images"].tolist() for batch in loader])
    return taken


def test_batches_hold_the_images_as_bytes(make: Callable[..., ImageData]) -> None:
    data = make(labels=True)
    source = open_images(data.path)
    known = {source.read(index).tobytes(): int(source.labels[index]) for index in range(21)}
    seen = set()
    batches = list(data.train_dataloader())
    assert len(batches) == len(data.train_dataloader()) == 21 // 4
    for batch in batches:
        assert set(batch) == {"images", "labels"}
        assert (batch["images"].dtype, tuple(batch["images"].shape)) == (torch.uint8, (4, 3, 6, 6))
        assert batch["labels"].dtype == torch.int64
        for image, label in zip(batch["images"], batch["labels"], strict=True):
            content = image.permute(1, 2, 0).numpy().tobytes()
            assert known[content] == int(label)
            seen.add(content)
    assert len(seen) == 20
    assert set(next(iter(make().train_dataloader()))) == {"images"}


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_order_follows_the_epoch_and_not_the_workers_or_the_global_generator(
    make: Callable[..., ImageData], workers: int
) -> None:
    views = {"flip": True, "shift": 2}
    expected = epochs(make(**views))
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert epochs(make(num_workers=workers, **views)) == expected
    assert torch.equal(torch.get_rng_state(), before)
    assert expected[0] != expected[1]
    assert epochs(make(seed=1, **views)) != expected
    straight = epochs(make(shuffle=False))
    assert straight[0] == straight[1]


def test_a_loader_resumes_in_the_middle_of_an_epoch(make: Callable[..., ImageData]) -> None:
    views = {"flip": True, "shift": 1}
    whole = epochs(make(**views))
    loader = make(**views).train_dataloader()
    loader.load_state_dict({"epoch": 1, "batch": 3, "sample": 12})
    assert [batch["images"].tolist() for batch in loader] == whole[1][3:]


def test_what_a_resumed_run_compares_changes_with_what_is_trained_on(make: Callable[..., ImageData]) -> None:
    state = make().train_dataloader().state_dict()
    assert state["fingerprint"] == make().fingerprint
    assert (state["length"], state["batch_size"]) == (21, 4)
    for other in ({"resolution": 5}, {"channels": 1}, {"resolution": 6, "crop": "none"}):
        assert make(**other).train_dataloader().state_dict()["fingerprint"] != state["fingerprint"]


def test_the_measured_set_is_the_one_that_is_trained_on(make: Callable[..., ImageData]) -> None:
    data = make(resolution=5, channels=1, batch_size=21, shuffle=False)
    images = data.images
    assert (len(images), data.resolution, data.channels, data.classes) == (21, 5, 1, ("a", "b", "c"))
    assert images.labels.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    assert images.name_of(7) == f"{data.path}/b/01.png"
    (batch,) = data.train_dataloader()
    rows = batch["images"]
    assert all(np.array_equal(images.read(i), rows[i].permute(1, 2, 0).repeat(1, 1, 3).numpy()) for i in range(21))
    assert images.fingerprint() == make(resolution=5, channels=1).images.fingerprint()
    assert images.fingerprint() != make(resolution=5).images.fingerprint()


def test_bytes_become_numbers_from_minus_one_to_one() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    found = to_float(every)
    assert (found.dtype, found[0].item(), found[-1].item()) == (torch.float32, -1.0, 1.0)
    assert torch.equal(((found.double() + 1) * 127.5).round().to(torch.uint8), every)
    assert torch.equal(to_float(every, torch.bfloat16), found.bfloat16())
    assert every.tolist() == list(range(256))


def test_workers_get_a_path_and_no_copy(make: Callable[..., ImageData]) -> None:
    dataset = make(labels=True, flip=True, shift=3).train_dataloader().dataset
    frozen = pickle.dumps(dataset)
    assert len(frozen) < 1000
    again = pickle.loads(frozen)[5, 3]
    assert again["images"].equal(dataset[5, 3]["images"])
    assert again["labels"].equal(dataset[5, 3]["labels"])


def test_too_few_images_say_both_numbers(make: Callable[..., ImageData]) -> None:
    with pytest.raises(InputError, match=r"gives 21 images, fewer than data\.batch_size 22\. Lower data\.batch_size"):
        make(batch_size=22)
    assert len(make(batch_size=21).train_dataloader()) == 1
    says = (
        r"gives 21 images, fewer than data\.batch_size 4 x data\.batches_per_step 6 = 24\. "
        r"Lower data\.batch_size or data\.batches_per_step, or give more images\."
    )
    with pytest.raises(InputError, match=says):
        make(batches_per_step=6)


def test_several_batches_are_handed_over_as_one(make: Callable[..., ImageData]) -> None:
    single = [batch["images"] for batch in make(flip=True).train_dataloader()]
    data = make(flip=True, batches_per_step=2)
    joined = [batch["images"] for batch in data.train_dataloader()]
    assert len(joined) == 21 // 8
    assert all(torch.equal(joined[i], torch.cat(single[2 * i : 2 * i + 2])) for i in range(2))
    assert (data.batch_size, data.train_dataloader().state_dict()["batch_size"]) == (4, 8)


def test_labels_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.labels: asset:emoji32\.png has none\. They come from folders"):
        ImageData("asset:emoji32.png", labels=True, cache=str(tmp_path)).prepare_data()
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 6, 6, 3), np.uint8), labels=np.full(4, 7))
    with pytest.raises(
        InputError, match=r"a\.npz has images of one class only, '7'; a task with classes needs two at least\."
    ):
        ImageData(str(tmp_path / "a.npz"), labels=True, cache=str(tmp_path)).prepare_data()


def test_classes_whose_images_are_all_damaged_are_no_classes(
    folder: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def prepared(**files: np.ndarray | bytes) -> ImageData:
        place = folder({name.replace("_", "/") + ".png": content for name, content in files.items()})
        data = ImageData(str(place), labels=True, on_bad="skip", batch_size=2, cache=str(tmp_path / "cache"))
        data.prepare_data()
        return data

    with pytest.raises(InputError, match="has images of one class only, 'a'; a task with classes needs two"):
        prepared(a_1=pixels(0, 6, 6), a_2=pixels(1, 6, 6), b_1=b"damaged", c_1=b"damaged")
    caplog.set_level(logging.INFO, logger="aigc")
    data = prepared(b_1=pixels(1, 6, 6))
    assert "has no image of 1 class: c" in caplog.text
    assert data.classes == ("a", "b", "c")
    caplog.clear()
    log_once.cache_clear()  # as in another process
    prepared(b_1=pixels(1, 6, 6))
    assert "1 of 4 images cannot be read and are left out" in caplog.text


@pytest.mark.parametrize("name", ["batch_size", "num_workers", "seed", "resolution", "shift", "batches_per_step"])
def test_numbers_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"data\.{name} is -1; allowed: at least"):
        ImageData("faces", **{name: -1})
    with pytest.raises(InputError, match=r"data\.alpha is 'grey'\."):
        ImageData("faces", alpha="grey")  # type: ignore[arg-type]


class Mean(LightningModule):
    """Learns the mean of all pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        return (to_float(batch["images"]) - self.value).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_trains_on_it_without_validation_and_without_a_warning_of_images(
    make: Callable[..., ImageData], tmp_path: Path
) -> None:
    data = make()
    assert not Validates().has_validation(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = Trainer(
            max_steps=8, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(Mean(), datamodule=data)
    assert trainer.global_step == 8
    ours = [w for w in caught if "site-packages" not in w.filename or "numpy" in str(w.message).lower()]
    assert ours == []

"""The classifier that is trained on a data set: whether it learns, is found again, and disturbs nothing."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.extractors import classifier, get_extractor
from aigc.metrics.image.extractors.classifier import ClassifierExtractor, train_classifier

pytestmark = pytest.mark.slow

SIDE = 28


def letters(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ten letters in many sizes, places and turns, grey and a little noisy."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, 10, count)
    images = np.zeros((count, 1, SIDE, SIDE), np.uint8)
    for image, label in zip(images, labels, strict=True):
        drawn = Image.new("L", (SIDE, SIDE))
        place = tuple(SIDE / 2 + chance.uniform(-3, 3, 2))
        font = ImageFont.load_default(int(chance.integers(15, 25)))
        ImageDraw.Draw(drawn).text(place, chr(ord("A") + label), int(chance.integers(150, 256)), font, "mm")
        noise = chance.normal(0, 20, (SIDE, SIDE))
        image[0] = np.clip(np.asarray(drawn.rotate(chance.uniform(-15, 15))) + noise, 0, 255)
    return torch.from_numpy(images), torch.from_numpy(labels)


def stripes(count: int = 96) -> tuple[Tensor, Tensor]:
    """Three easy classes: lying, standing and crossing stripes."""
    labels = torch.arange(count) % 3
    lying = (torch.arange(12)[:, None] // 2 % 2 * 255).expand(12, 12).byte()
    kinds = torch.stack([lying, lying.T, lying ^ lying.T])
    noise = torch.randint(0, 60, (count, 1, 12, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return kinds[labels][:, None] ^ noise, labels


@pytest.fixture(scope="module")
def extractor() -> ClassifierExtractor:
    return train_classifier(*stripes(), steps=40)


def test_held_out_letters_are_recognised() -> None:
    images, labels = letters(1250, seed=0)
    fifth = torch.arange(1250) % 5 == 0
    trained = train_classifier(images[~fifth], labels[~fifth], steps=100)
    assert trained.accuracy(images[fifth], labels[fifth]) >= 0.97
    wrong = labels[fifth].roll(1)
    assert trained.accuracy(images[fifth], wrong) < 0.3  # negative control
    assert 60_000 <= sum(parameter.numel() for parameter in trained.parameters()) <= 100_000


def test_easy_classes_are_learnt(extractor: ClassifierExtractor) -> None:
    images, labels = stripes()
    assert extractor.accuracy(images, labels) == 1
    assert extractor.accuracy(images, labels.numpy()) == 1
    assert extractor.accuracy(images[:4], torch.tensor([0, 1, 2, 1])) == 0.75
    features, logits = extractor(images.repeat(1, 3, 2, 1))
    assert features.shape == (96, 96)
    assert logits.shape == (96, 3)
    assert extractor.suffix == "_classifier"
    assert not any(part.training for part in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_the_same_data_give_the_same_bits_wherever_the_caller_stands() -> None:
    images, labels = stripes(48)
    first = train_classifier(images, labels, steps=6)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        second = train_classifier(images, labels, steps=6)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first(images).logits, second(images).logits)
    assert first.identity == second.identity
    assert first.description == second.description
    other = train_classifier(images, labels, seed=1, steps=6)
    assert other.identity != first.identity


def test_what_was_trained_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = stripes(48)
    cache = tmp_path / "cache" / "classifiers"
    first = train_classifier(images, labels, cache=cache, steps=4)
    (path,) = cache.iterdir()
    assert path.suffix == ".safetensors"
    train = classifier._train
    trainings = []
    monkeypatch.setattr(classifier, "_train", lambda *arguments: trainings.append(1) or train(*arguments))
    found = get_extractor("classifier", images=images, labels=labels.numpy(), cache=str(cache), steps=4)
    assert trainings == []
    assert found.identity == first.identity == train_classifier(images, labels, steps=4).identity
    assert torch.equal(found(images).features, first(images).features)
    trainings.clear()
    brighter = images.clone()
    brighter[0, 0, 0, 0] ^= 1
    for changed in ((brighter, labels, 0), (images, labels.flip(0), 0), (images, labels, 1)):
        train_classifier(*changed, cache=cache, steps=4)
    assert len(trainings) == 3
    assert len(list(cache.iterdir())) == 4


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    images, labels = stripes(48)
    train_classifier(images, labels, cache=tmp_path, steps=1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=rf"{path.name}: a damaged classifier\. Delete it"):
        train_classifier(images, labels, cache=tmp_path, steps=1)


def test_every_image_is_seen_three_times_at_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "BATCH", 10)
    seen = torch.cat(classifier._batches(48, 15, torch.Generator().manual_seed(0)))
    assert seen.bincount(minlength=48).min() >= 3
    steps = []
    batches = classifier._batches
    monkeypatch.setattr(classifier, "_batches", lambda *arguments: steps.append(arguments[1]) or batches(*arguments))
    train_classifier(*stripes(48), steps=1)
    assert steps == [15]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "trained on the labels of the data set, and this one has none"),
        (torch.zeros(48, dtype=torch.long), "two classes or more, and all labels are 0"),
        (torch.arange(48) - 1, r"class numbers from 0, at most 47 here; these go from -1 to 46"),
        (torch.arange(48) * 9, "these go from 0 to 423"),
        (torch.arange(47), r"one whole number for each of 48 images; these are torch\.int64 of shape \(47,\)"),
        (torch.zeros(48), r"these are torch\.float32"),
        (np.zeros((48, 3), np.int64), r"shape \(48, 3\)"),
    ],
)
def test_labels_that_are_none_are_refused(labels: Tensor | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_classifier(stripes(48)[0], labels)


def test_labels_of_other_classes_are_refused(extractor: ClassifierExtractor) -> None:
    with pytest.raises(InputError, match="at most 2 here; these go from 0 to 3"):
        extractor.accuracy(stripes(4)[0], torch.arange(4))

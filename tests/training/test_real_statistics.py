"""Statistics of real images are measured once, found again by content, and never stale."""

import multiprocessing

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.data.images import open_images
from aigc.errors import InputError
from aigc.evaluation import feature_pass
from aigc.evaluation import real_statistics as module
from aigc.evaluation.feature_pass import classifier_of, measure_images
from aigc.evaluation.real_statistics import real_statistics
from aigc.metrics.image import smallest
from tests.training.tiny_gan import Projection, random_images

ENTRIES = "image_statistics"


@pytest.fixture
def folder(tmp_path):
    """Twelve images of 8 by 8."""
    place = tmp_path / "real"
    place.mkdir()
    with np.load(random_images(tmp_path)) as file:
        for number, image in enumerate(file["images"][:12]):
            Image.fromarray(image).save(place / f"{number:02d}.png")
    return place


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Whether features are kept in any case."""
    monkeypatch.setattr(module, "_SMALL", 20_000 if request.param == "small" else 3)


def found(folder, extractor=None, **settings):
    chosen = {"keep": True, "heldout": 4} | settings
    return real_statistics(open_images(str(folder)), extractor or Projection(), folder.parent / "cache", **chosen)


def entries(folder):
    return sorted(path.name for path in (folder.parent / "cache" / ENTRIES).glob("[!.]*"))


def test_found_again_and_equal(folder, monkeypatch):
    first = found(folder)
    monkeypatch.setattr(module, "measure_images", lambda *_: pytest.fail("measured twice"))
    again = found(folder)
    assert torch.equal(first.whole.covariance, again.whole.covariance)
    assert torch.equal(first.whole.features, again.whole.features)
    assert (again.whole.count, again.heldout.count) == (12, 4)


@pytest.mark.parametrize("keep", [True, False])
def test_held_out_are_some_of_the_images(folder, keep, size):
    real = found(folder, keep=keep)
    rest = real.whole.without(real.heldout)
    assert rest.count == 8
    torch.testing.assert_close((8 * rest.mean + 4 * real.heldout.mean) / 12, real.whole.mean)
    chosen = smallest(np.arange(12), 4)
    features = torch.cat([Projection()(torch.from_numpy(p).permute(2, 0, 1)[None]).features for p in all_of(folder)])
    torch.testing.assert_close(real.heldout.mean, features[chosen].double().mean(0))
    assert found(folder, keep=keep, heldout=50).heldout.count == 6


def all_of(folder):
    images = open_images(str(folder))
    return [images.read(number) for number in range(len(images))]


def test_one_entry_serves_all_metrics_and_held_out_parts(folder):
    for settings in ({}, {"keep": False}, {"heldout": 2}, {"heldout": 0}):
        found(folder, **settings)
    assert len(entries(folder)) == 1


def test_an_image_that_changes_meanwhile_is_refused(folder, monkeypatch):
    plain = module.measure_images

    def changing(*arguments):
        measured = plain(*arguments)
        change(folder / "05.png")
        return measured

    monkeypatch.setattr(module, "measure_images", changing)
    with pytest.raises(InputError, match="changed while it was measured"):
        found(folder)
    assert not entries(folder)


def test_images_of_many_sizes_do_not_pile_up(tmp_path, monkeypatch):
    (tmp_path / "many").mkdir()
    for number in range(40):
        Image.new("RGB", (3 + number, 4)).save(tmp_path / f"many/{number:02d}.png")
    images = open_images(str(tmp_path / "many"))
    read = []
    plain = images.read
    monkeypatch.setattr(images, "read", lambda number: read.append(number) or plain(number))
    batches = feature_pass._batches(images, 2)
    next(batches)
    assert len(read) < 30
    assert sum(len(numbers) for numbers, _ in batches) == 39


def change(path):
    image = np.array(Image.open(path))
    image[0, 0] ^= 1
    Image.fromarray(image).save(path)


@pytest.mark.parametrize(
    "what",
    [
        lambda folder: change(folder / "05.png"),
        lambda folder: (folder / "05.png").unlink(),
        lambda folder: (folder / "05.png").rename(folder / "99.png"),
    ],
    ids=["one bit", "one less", "another order"],
)
def test_other_images_are_another_entry(folder, what):
    found(folder)
    what(folder)
    found(folder)
    assert len(entries(folder)) == 2


def test_other_weights_and_settings_are_other_entries(folder):
    other = Projection()
    other.weights[0, 0] += 1

    class Again(Projection):
        """Other code with the same weights may do something else."""

    for settings in ({}, {"reservoir": 5}, {"extractor": other}, {"extractor": Again()}):
        found(folder, **settings)
    assert len(entries(folder)) == 4


def test_where_it_lies_does_not_count(folder):
    found(folder)
    moved = folder.rename(folder.with_name("elsewhere"))
    found(moved)
    assert len(entries(moved)) == 1


def test_a_damaged_entry_is_measured_again(folder):
    before = found(folder)
    [name] = entries(folder)
    path = folder.parent / "cache" / ENTRIES / name / "whole.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(found(folder).whole.mean, before.whole.mean)


def _measure(folder, barrier, counts, number):
    torch.set_num_threads(1)
    plain = module.measure_images

    def counted(*arguments):
        counts[number] = 1
        return plain(*arguments)

    module.measure_images = counted
    barrier.wait()
    found(folder)


@pytest.mark.slow
def test_of_three_processes_at_once_one_measures(folder):
    fork = multiprocessing.get_context("fork")
    barrier, counts = fork.Barrier(3), fork.Array("i", 3)
    processes = [fork.Process(target=_measure, args=(folder, barrier, counts, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert sum(counts) == 1
    assert len(entries(folder)) == 1


def test_mixed_sizes_are_measured_as_each_alone(tmp_path):
    """Whatever their order and sizes; the features here are those of one pixel."""

    class Corner(Projection):
        def extract(self, images):
            return super().extract(images[:, :, :1, :1].expand(-1, -1, 8, 8))

    (tmp_path / "mixed").mkdir()
    chance = np.random.default_rng(0)
    for number in range(9):
        size = (3 + number % 3, 4, 3)
        Image.fromarray(chance.integers(0, 255, size, dtype=np.uint8)).save(tmp_path / "mixed" / f"{number}.png")
    images = open_images(str(tmp_path / "mixed"))
    whole, _ = measure_images(images, Corner(), keep=True, batch_size=2)
    alone = [Corner()(torch.from_numpy(images.read(i)).permute(2, 0, 1)[None]).features[0] for i in range(9)]
    assert whole.indices.tolist() == list(range(9))
    torch.testing.assert_close(whole.features, torch.stack(alone))


def test_an_image_whose_features_are_not_finite_is_named(folder):
    class Broken(Projection):
        def extract(self, images):
            features, logits = super().extract(images)
            return features.where(features != features[2], torch.nan), logits

    with pytest.raises(InputError, match=r"02\.png: its features are not finite"):
        measure_images(open_images(str(folder)), Broken(), keep=False)


def test_a_classifier_needs_labels(folder):
    with pytest.raises(InputError, match="learns from labels"):
        classifier_of(open_images(str(folder)), folder.parent / "cache")


def test_one_image_is_too_few(folder):
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError, match="at least two images"):
        found(folder)

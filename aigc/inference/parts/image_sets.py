"""Sets of images by name: images, statistics in a file, a data config, or a run that makes images."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from aigc.config import compose
from aigc.config.check import find_problems
from aigc.config.choices import group_choices
from aigc.config.problems import ConfigError, suggest
from aigc.data.images import Images, open_images
from aigc.data.images.formats import prefixes
from aigc.data.images.reading import OnBad
from aigc.errors import InputError
from aigc.evaluation.feature_pass import classifier_of, measure_images
from aigc.evaluation.real_statistics import Real, real_statistics
from aigc.inference.find import model_of_task
from aigc.inference.parts.image_maker import ImageMaker
from aigc.metrics.image import Statistics, is_statistics, read_statistics
from aigc.metrics.image.extractors import Extractor
from aigc.runs import Run
from aigc.runs.locate import default_root

if TYPE_CHECKING:
    from aigc.tasks import ImageTask


class RunImages(NamedTuple):
    """A run's task with its best weights, and the number of images to make."""

    run: Run
    task: "ImageTask"
    images: Images
    """Its training images."""
    samples: int
    seed: int

    @classmethod
    def of(cls, run: Run, task: Any, data: Any, samples: int, seed: int) -> "RunImages":
        """Take a task that makes images, with its data; arguments as of `open_set`.

        Raises:
            InputError: The data hold no images.
        """
        return cls(run, task.to(_device()), _images_of(data, run.id), samples, seed)


ImageSet = Images | Statistics | RunImages


def open_set(name: str, samples: int = 10_000, seed: int = 0, on_bad: OnBad = "fail") -> ImageSet:
    """Open the set that a name means.

    Args:
        name: A folder, .zip, .npz, .npy or .h5 with images; a statistics file; a set that is not a path, such as
            `asset:FILE` or `fonts:letters`; the name of a data config; a run id, the beginning of one, the path of a
            run folder, or `latest`.
        samples: How many images a run makes.
        seed: Seed of these.
        on_bad: Whether an image that cannot be read is an error (fail) or left out (skip).

    Raises:
        ConfigError: The data config needs a value, such as `data.path`.
        InputError: There is nothing of that name, it cannot be read, or it holds no images.
    """
    path = Path(name).expanduser()
    if os.sep not in name and path.exists() and (default_root() / name).is_dir():
        raise InputError(f"{name} is here and a run: ./{name} names what is here, {default_root() / name} the run")
    if path.is_dir() and (path / "manifest.json").is_file():
        return _images_of_run(Run.open(path), samples, seed)
    if path.is_file() and is_statistics(path):
        return read_statistics(path)
    if path.exists() or name.startswith(prefixes()):
        return open_images(name, on_bad=on_bad)
    data = group_choices()["data"]
    if name in data:
        if (default_root() / name).is_dir():
            raise InputError(f"{name} is a data config and a run: name the run by its path, {default_root() / name}")
        return _images_of_config(name)
    try:
        run = Run.open(name)
    except InputError as error:
        near = suggest(name, data)
        raise InputError(f"{name}: there is no such file, folder or data config ({near}), and {error}") from error
    return _images_of_run(run, samples, seed)


def generated_statistics(one: ImageSet, extractor: Extractor | None, keep: bool, batch_size: int) -> Statistics:
    """Return statistics of generated images; those of a file need no extractor. Errors as of `measure_images`."""
    if isinstance(one, Statistics):
        return one
    assert extractor is not None
    extractor.to(_device())
    if isinstance(one, Images):
        return measure_images(one, extractor, keep, batch_size=batch_size)[0]
    from aigc.generation.images import measure_samples

    return measure_samples(one.task, extractor, keep, one.samples, one.seed, batch_size)


def reference_statistics(
    one: ImageSet, extractor: Extractor | None, keep: bool, cache: Path, count: int | None, batch_size: int
) -> Real:
    """Return statistics of the reference images; they are kept in the cache.

    Args:
        one: The images.
        extractor: Turns images into features; None suffices for statistics from a file.
        keep: Whether features and logits are kept.
        cache: Where statistics are kept.
        count: How many images are compared with them, if that is known: the size of the held-out part.
        batch_size: Images that are extracted together.
    """
    if isinstance(one, Images):
        assert extractor is not None
        return real_statistics(one, extractor.to(_device()), cache, keep, count or 0, batch_size=batch_size)
    return Real(generated_statistics(one, extractor, keep, batch_size), None)


def trained_extractor(one: ImageSet, cache: Path) -> Extractor:
    """Return the classifier that is trained on the labels of real images.

    Raises:
        InputError: The set holds no images, or no labels.
    """
    if not isinstance(one, Images):
        raise InputError("the extractor `classifier` learns from real images with labels: name some as the second set")
    return classifier_of(one, cache)


def count_of(one: ImageSet) -> int | None:
    """Return the number of images, or None where it is unknown."""
    if isinstance(one, Statistics):
        return one.count
    return len(one) if isinstance(one, Images) else one.samples


def _images_of_run(run: Run, samples: int, seed: int) -> RunImages:
    model = model_of_task(run)
    if not isinstance(model, ImageMaker):
        raise InputError(f"{run.id} makes no images: its task is {run.config.task['_target_']}")
    return model.images(samples, seed)


def _images_of_config(name: str) -> Images:
    cfg = compose([f"data={name}"])
    if problems := [problem for problem in find_problems(cfg) if problem.key.startswith("data.")]:
        raise ConfigError(problems)
    from aigc.launch import components  # Lightning takes seconds to import

    return _images_of(components.build_data(cfg), f"data={name}")


def _images_of(data: Any, what: str) -> Images:
    images = getattr(data, "images", None)
    if not isinstance(images, Images):
        raise InputError(f"{what}: this data holds no images")
    return images


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")

"""The classes of images to train on."""

from collections.abc import Sequence

import numpy as np

from aigc.data.images.base import Images, Labels
from aigc.data.progress import log_once
from aigc.errors import InputError
from aigc.printing import plural

_SHOWN = 8


def check_labels(path: str, labels: Labels | None, classes: Sequence[str]) -> None:
    """Check that there are images of two classes at least; classes without images are logged.

    Args:
        path: `data.path`, for messages.
        labels: The class of each image; None where the images have none.
        classes: The names of the classes by label.

    Raises:
        InputError: There are no labels, or all images have the same one.
    """
    if labels is None:
        raise InputError(
            f"data.labels: {path} has none. They come from folders, one level down and two at least, from a "
            "dataset.json as StyleGAN's tools write it, or from `labels` or `y` beside the images of an .npz or HDF5 "
            "file. Set data.labels=false, or sort the images."
        )
    there = np.unique(labels)
    if len(there) < 2:
        raise InputError(
            f"data.labels: {path} has images of one class only, '{classes[int(there[0])]}'; a task with classes needs "
            "two at least. Set data.labels=false, or give images of more classes."
        )
    if missing := [name for label, name in enumerate(classes) if label not in there]:
        log_once(f"data.labels: {path} has no image of {plural(len(missing), 'class')}: {', '.join(missing[:_SHOWN])}")


def raise_label_error(images: Images) -> None:
    """Raise what is wrong with the labels of a set, where they are used."""
    if images.label_error is not None:
        raise images.label_error


def log_unused(path: str, images: Images) -> None:
    """Say once in a process that a set has classes which are not used, or labels that could not be.

    Args:
        path: `data.path`, for messages.
        images: The set.
    """
    if images.label_error is not None:
        log_once(f"{images.label_error} The images are used without labels.")
    number = len(images.classes)
    if images.labels is not None and number > 1:
        shown = ", ".join(images.classes[:_SHOWN]) + (", ..." if number > _SHOWN else "")
        log_once(f"{path}: {number:,} {images.labels_from} found ({shown}); data.labels=true uses them")

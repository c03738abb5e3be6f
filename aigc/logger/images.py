"""Images logged during training: their names for loggers, their files in samples/."""

from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers.logger import Logger
from torch import Tensor

_MAIN = "grid"
"""The image whose file name has no title."""


def image_file(folder: Path, name: str, step: int) -> Path:
    """Return the file of an image: `step-000100.png` of samples/grid, else `step-000100-interpolation.png`.

    Args:
        folder: The run's samples/.
        name: `samples/<title>`, or `samples/<evaluation>/<title>` for a folder of its own.
        step: As a person counts them.
    """
    _, *inner, title = name.split("/")
    end = "" if title == _MAIN else f"-{title}"
    return folder.joinpath(*inner, f"step-{step:06d}{end}.png")


def images_of_step(folder: Path, step: int) -> dict[str, Path]:
    """Return the images of a step in samples/ by name."""
    found = {}
    for path in folder.rglob(f"step-{step:06d}*.png"):
        title = path.stem.removeprefix(f"step-{step:06d}")
        if title == "" or title.startswith("-"):  # not another step with more digits
            inner = path.parent.relative_to(folder).parts
            found["/".join(("samples", *inner, title.removeprefix("-") or _MAIN))] = path
    return dict(sorted(found.items()))


def log_image(loggers: Sequence[Logger], name: str, image: Tensor, step: int) -> None:
    """Send an image to every logger that takes images.

    Args:
        loggers: The run's loggers; only the first rank has any.
        name: As for `image_file`.
        image: uint8 of shape (channels, height, width); 1 channel is grey, 3 are red, green, blue.
        step: As a person counts them.
    """
    for logger in loggers:
        if takes := getattr(logger, "log_image", None):
            takes(name, image, step)

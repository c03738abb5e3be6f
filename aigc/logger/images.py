"""Images of a training: their names for loggers, their files in samples/."""

from collections.abc import Sequence
from pathlib import Path

from pytorch_lightning.loggers.logger import Logger
from torch import Tensor

PICTURES = {"samples/grid": "", "samples/interpolation": "-interpolation", "samples/neighbours": "-neighbours"}
"""Name to the end of the file's name."""


def image_file(folder: Path, name: str, step: int) -> Path:
    """Where the image of a step lies: `step-000100.png`, `step-000100-interpolation.png`."""
    return folder / f"step-{step:06d}{PICTURES[name]}.png"


def log_image(loggers: Sequence[Logger], name: str, image: Tensor, step: int) -> None:
    """Send an image to every logger that takes some.

    Args:
        loggers: The run's; only the first rank has any.
        name: One of PICTURES.
        image: uint8 of shape (channels, height, width); 1 channel is grey, 3 are red, green, blue.
        step: As a person counts them.
    """
    for logger in loggers:
        if takes := getattr(logger, "log_image", None):
            takes(name, image, step)

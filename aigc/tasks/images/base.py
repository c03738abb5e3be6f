"""The base class of tasks that make images."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor

from aigc.errors import InputError
from aigc.models.images.saved import SavedGenerator, save_generator
from aigc.tasks.base import Task


class ImageTask(Task, ABC):
    """A task that makes images of latents; samples and scores come from the weights that the run leaves.

    Its batches are mappings with `images`, uint8 of shape (n, channels, height, width), and perhaps `labels`. A task
    that validates derives from `ValidatedImageTask`.
    """

    unit = "images"
    learns_from = "images"
    saved_model = "aigc.inference.image_generator.SavedImageGenerator"
    counts_samples: ClassVar[bool] = False
    """Whether its validation step leaves out images beyond the `samples` of a batch, which only fill up a rank."""

    def setup(self, stage: str) -> None:
        """Check that a validation on several ranks counts each image once.

        Raises:
            InputError: The task has a validation step of its own, which may count what only fills up a rank.
        """
        if self.trainer.world_size > 1 and is_overridden("validation_step", self) and not self.counts_samples:
            raise InputError(
                f"task: {type(self).__name__} cannot validate on several ranks by a validation_step of its own: "
                "derive from aigc.tasks.ValidatedImageTask and define validation_values, or leave out the images "
                "beyond batch['samples'] and set counts_samples = True"
            )

    @abstractmethod
    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw latents of shape (count, ...) from a generator on the CPU."""

    def conditions(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what images are conditioned on, by name, each of shape (count, ...); classes are `labels`, int64."""
        return {}

    def grid_conditions(self, count: int) -> dict[str, Tensor]:
        """Return the conditions of the images of a grid, such as all classes in turn; empty to draw them."""
        return {}

    @abstractmethod
    def generate(self, latents: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        """Make images, from the averaged weights where there are any.

        It is called in evaluation mode and without gradients, and must not draw from training's random generators.

        Args:
            latents: As `latents` draws them, on the device of the weights.
            conditions: As `conditions` draws them, on the same device; empty where nothing is conditioned.

        Returns:
            Images from -1 to 1 of shape (count, channels, height, width), of any float type.
        """

    def generator_to_save(self) -> SavedGenerator | None:
        """Return the generator that the run leaves in model/; None leaves all weights of the task."""
        return None

    def amount(self, batch: Any) -> int:
        """Return the number of images in a batch."""
        return len(batch["images"])

    def save_model(self, folder: Path) -> None:
        """Write the generator as `aigc generate` and `export` read it, or all weights where there is none."""
        if (saved := self.generator_to_save()) is not None:
            save_generator(*saved, folder)
            return
        safetensors.torch.save_model(self, str(folder / "model.safetensors"))
        described = {"task": f"{type(self).__module__}.{type(self).__qualname__}"}
        (folder / "config.json").write_text(json.dumps(described) + "\n", encoding="utf-8")

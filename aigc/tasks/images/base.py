"""What every task has that makes images."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from aigc.tasks.base import Task


class ImageTask(Task, ABC):
    """A task from whose latents images are made; samples and metrics come from the weights that it would give away.

    Its batches are mappings with `images`, uint8 of shape (n, channels, height, width), and perhaps `labels`.
    """

    unit = "images"

    @abstractmethod
    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw latents of shape (count, ...) from a generator on the CPU."""

    def labels(self, count: int, generator: torch.Generator) -> Tensor | None:
        """Draw what images are conditioned on, int64 of shape (count,); None where nothing is."""
        return None

    def grid_labels(self, count: int) -> Tensor | None:
        """What the images of a grid are conditioned on, int64 of shape (count,): all classes in turn."""
        return None

    @abstractmethod
    def generate(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Make images from the averaged weights where there are such.

        It is called in evaluation mode and without gradients, and draws nothing from training's random generators.

        Args:
            latents: As `latents` draws them, on the device of the weights.
            labels: As `labels` draws them.

        Returns:
            Images from -1 to 1 of shape (count, channels, height, width), of any float type.
        """

    def amount(self, batch: Any) -> int:
        """How many images a batch holds."""
        return len(batch["images"])

    def save_model(self, folder: Path) -> None:
        """Write all weights as safetensors, and what they are of; a task may leave out what it does not give away."""
        safetensors.torch.save_model(self, str(folder / "model.safetensors"))
        described = {"task": f"{type(self).__module__}.{type(self).__qualname__}"}
        (folder / "config.json").write_text(json.dumps(described) + "\n", encoding="utf-8")

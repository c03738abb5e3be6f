"""A GAN of a few thousand parameters with averaged weights, on images of 8 by 8: the smallest that makes images."""

import io
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc.config.trust import trust
from aigc.data.images import ImageData, to_float
from aigc.evaluation import ImageGeneration
from aigc.metrics.image.extractors import Extracted, Extractor
from aigc.models import ModelFactory
from aigc.runs.files import write_atomic
from aigc.tasks import ImageTask

SIZE, LATENTS = 8, 4


class Networks(ModelFactory):
    """Generator and discriminator."""

    def create(self, data: Any = None) -> nn.ModuleDict:
        pixels = 3 * SIZE * SIZE
        last = nn.utils.parametrizations.spectral_norm(nn.Linear(16, 1))
        to_image = [nn.Linear(LATENTS, 16), nn.BatchNorm1d(16), nn.Dropout(0.2), nn.ReLU(), nn.Linear(16, pixels)]
        return nn.ModuleDict(
            {
                "generator": nn.Sequential(*to_image, nn.Tanh()),
                "discriminator": nn.Sequential(nn.Linear(pixels, 16), nn.LeakyReLU(), nn.Dropout(0.2), last),
            }
        )


class TinyGan(ImageTask):
    """Non-saturating GAN; every network part that needs care when images are made: batch norm, dropout, averages."""

    def __init__(self, model: nn.ModuleDict, optimizer: Callable[..., Optimizer], scheduler: Any = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = model["generator"], model["discriminator"]
        self.averaged = deepcopy(self.generator).requires_grad_(False)
        self._make_optimizer = optimizer
        self._sum = 0.0

    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randn(count, LATENTS, generator=generator)

    def generate(self, latents: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        images: Tensor = self.averaged(latents)
        return images.view(-1, 3, SIZE, SIZE)

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        of_generator, of_discriminator = self.optimizers()
        for buffer in self.buffers() if self.trainer.world_size > 1 else ():
            torch.distributed.broadcast(buffer, 0)  # as DDP does: the first rank's are those that are saved
        real = to_float(batch["images"]).flatten(1)
        with torch.no_grad():
            fake = self.generator(torch.randn(len(real), LATENTS))
        self._step(
            of_discriminator.optimizer,
            F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean(),
        )
        loss = F.softplus(-self.discriminator(self.generator(torch.randn(len(real), LATENTS)))).mean()
        self._step(of_generator, loss)
        with torch.no_grad():
            for average, value in zip(self.averaged.parameters(), self.generator.parameters(), strict=True):
                average.lerp_(value, 0.1)
            for average, value in zip(self.averaged.buffers(), self.generator.buffers(), strict=True):
                average.copy_(value)
        self._sum += float(loss.detach())

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        for group in optimizer.param_groups if self.trainer.world_size > 1 else ():
            for parameter in group["params"]:
                torch.distributed.all_reduce(parameter.grad)
        optimizer.step()

    def on_train_batch_end(self, *args: Any) -> None:
        if self.at_logged_step():
            self.record({"train/loss": self._sum})
            self._sum = 0.0

    def training_state(self) -> dict[str, Any]:
        return super().training_state() | {"sum": self._sum}

    def load_training_state(self, state: dict[str, Any]) -> None:
        super().load_training_state(state)
        self._sum = state["sum"]

    def configure_optimizers(self) -> Any:
        networks = (self.generator, self.discriminator)
        return [self._make_optimizer(network.parameters()) for network in networks]


def tiny_gan() -> TinyGan:
    """The task."""
    return TinyGan(Networks().create(), partial(torch.optim.Adam, lr=3e-3, betas=(0.5, 0.99)))


class Projection(Extractor):
    """Fixed random features and classes of an image of 8 by 8."""

    name = "projection"
    dimensions = 6
    classes: int | None = 3

    def __init__(self) -> None:
        super().__init__()
        self.drawn = nn.Linear(2, 2)  # unused; as it draws, it would change a training that is not kept apart
        weights = torch.randn(3 * SIZE * SIZE, 9, generator=torch.Generator().manual_seed(0))
        self.register_buffer("weights", weights / 10)
        nn.init.zeros_(self.drawn.weight)
        nn.init.zeros_(self.drawn.bias)

    @property
    def description(self) -> str:
        return "projection"

    def extract(self, images: Tensor) -> Extracted:
        found = (images.float() / 255).flatten(1) @ self.weights
        return Extracted(found[:, :6], found[:, 6:])


def random_images(folder: Path, number: int = 37) -> Path:
    """Discs of random colour, place and size in an .npz file."""
    chance = np.random.default_rng(0)
    ys, xs = np.mgrid[:SIZE, :SIZE]
    made = np.full((number, SIZE, SIZE, 3), 255, dtype=np.uint8)
    for image in made:
        y, x, radius = chance.uniform(2, 6), chance.uniform(2, 6), chance.uniform(1.5, 3)
        image[(ys - y) ** 2 + (xs - x) ** 2 < radius**2] = chance.integers(0, 200, 3)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "discs.npz"
    buffer = io.BytesIO()
    np.savez(buffer, images=made)
    write_atomic(path, buffer.getvalue())  # two ranks may do this at once
    return path


def image_data(folder: Path, workers: int = 0) -> ImageData:
    """The images, prepared, in twelve batches of three."""
    data = ImageData(str(random_images(folder)), batch_size=3, num_workers=workers, seed=3, cache=str(folder / "cache"))
    data.prepare_data()
    return data


def image_evaluation(folder: Path, key: str = "evaluation.images", **settings: Any) -> ImageGeneration:
    """Every six steps, with the extractor above and small images."""
    trust(["tests"])
    metrics = {
        "fid": {"_target_": "aigc.metrics.image.FrechetDistance"},
        "kid": {"_target_": "aigc.metrics.image.KernelDistance", "subsets": 3, "subset_size": 10},
    }
    chosen: dict[str, Any] = {
        "metrics": metrics,
        "extractor": {"_target_": "tests.training.tiny_gan.Projection"},
        "samples": 30,
        "every_n_steps": 6,
        "batch_size": 8,
        "grid": 4,
        "strip": 3,
        "neighbours": 2,
    }
    return ImageGeneration(cache=str(folder / "cache"), **(chosen | settings)).bind(key)

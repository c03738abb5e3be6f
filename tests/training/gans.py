"""The smallest GAN with everything that has to be right: for tests of the training itself."""

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import Trainer
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader

from aigc.data.images import ImageData
from aigc.models.images.gan import Discriminator, DiscriminatorOutput, Gan, Generator
from aigc.runs.files import write_atomic
from aigc.tasks import GanTask
from tests.training.helpers import trainer
from tests.training.tiny_gan import random_images

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
SIZE, LATENTS = 8, 4
BETAS, RATE = (0.5, 0.9), 2e-3
Batch = dict[str, Tensor]


class SmallGenerator(Generator):
    """Two linear layers, with or without batch normalisation."""

    def __init__(self, resolution: int, channels: int, classes: int = 0, *, width: int = 16, batch_norm: bool = False):
        super().__init__(resolution, channels, classes)
        self.latent_shape = (LATENTS,)
        self.embed = nn.Embedding(classes, LATENTS) if classes else None
        norm = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.layers = nn.Sequential(
            nn.Linear(LATENTS, width), norm, nn.ReLU(), nn.Linear(width, channels * resolution**2), nn.Tanh()
        )

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.embed is not None:
            latents = latents + self.embed(labels)
        images: Tensor = self.layers(latents)
        return images.view(-1, self.channels, self.resolution, self.resolution)


class SmallDiscriminator(Discriminator):
    """A convolution and a linear layer with spectral normalisation; smooth, so that it can be derived twice."""

    def __init__(
        self,
        resolution: int,
        channels: int,
        classes: int = 0,
        *,
        width: int = 8,
        spectral: bool = True,
        batch_norm: bool = False,
    ):
        super().__init__(resolution, channels, classes)
        wrap: Callable[[nn.Module], nn.Module] = (
            nn.utils.parametrizations.spectral_norm if spectral else lambda layer: layer
        )
        norm = nn.BatchNorm2d(width) if batch_norm else nn.Identity()
        layers = [wrap(nn.Conv2d(channels, width, 4, 2, 1)), norm, nn.Softplus(), nn.Flatten()]
        self.layers = nn.Sequential(*layers)
        self.logit = wrap(nn.Linear(width * (resolution // 2) ** 2, 1))
        self.embed = nn.Embedding(classes, width * (resolution // 2) ** 2) if classes else None
        if self.embed is not None:
            nn.init.normal_(self.embed.weight, std=0.02)
            self.embed = wrap(self.embed)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        found = self.layers(images)
        logits = self.logit(found)[:, 0]
        if self.embed is not None and labels is not None:
            logits = logits + (found * self.embed(labels)).sum(1)
        return DiscriminatorOutput(logits)


class Manifold(Discriminator):
    """Discriminates the image, its pixels and its class, each by one linear map of the pixels alone."""

    def __init__(self, resolution: int, channels: int, classes: int):
        super().__init__(resolution, channels, classes)
        self.image = nn.Linear(channels * resolution**2, 1)
        self.pixel = nn.Conv2d(channels, 1, 1)
        self.kind = nn.Linear(channels * resolution**2, classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        flat = images.flatten(1)
        return DiscriminatorOutput(self.image(flat)[:, 0], self.pixel(images)[:, 0], self.kind(flat))


def small_gan(
    classes: int = 0, *, seed: int = 0, scheduler: Any = None, optimizer: Any = None, **settings: Any
) -> GanTask:
    """The task; `settings` are GanTask's, those that begin with d_ or g_ are the networks'."""
    torch.manual_seed(seed)
    of = {
        letter: {name[2:]: settings.pop(name) for name in list(settings) if name.startswith(f"{letter}_")}
        for letter in "gd"
    }
    names = tuple("abcdefghij"[:classes])
    networks = Gan(
        SmallGenerator(SIZE, 3, classes, **of["g"]), SmallDiscriminator(SIZE, 3, classes, **of["d"]), {}, names
    )
    chosen: dict[str, Any] = {"half_life": 20, "ramp_up": None} | settings
    return GanTask(networks, optimizer or partial(torch.optim.Adam, lr=RATE, betas=BETAS), scheduler, **chosen)


def regularisers(**settings: dict[str, Any]) -> dict[str, Any]:
    """Nodes by the names of the classes: `regularisers(R1={"gamma": 1})`."""
    return {name.lower(): {"_target_": f"aigc.losses.{name}", **given} for name, given in settings.items()}


def batches(number: int, size: int = 8, classes: int = 0, seed: int = 0) -> list[Batch]:
    """Noise, and labels."""
    source = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 256, (number, size, 3, SIZE, SIZE), generator=source, dtype=torch.uint8)
    labels = torch.randint(0, max(classes, 1), (number, size), generator=source)
    together = zip(drawn, labels, strict=True)
    return [{"images": images} | ({"labels": of} if classes else {}) for images, of in together]


def fit(task: GanTask, folder: Path, given: Sequence[Batch], **settings: Any) -> Trainer:
    """One step on each batch."""
    made = trainer(folder, **{"max_steps": len(given), "log_every_n_steps": 1} | settings)
    made.fit(task, DataLoader(list(given), batch_size=None))
    return made


def watch_latents(task: GanTask) -> list[Tensor]:
    """All that are drawn from now on, in their order."""
    drawn: list[Tensor] = []
    plain = task.latents

    def latents(count: int, generator: torch.Generator | None = None) -> Tensor:
        drawn.append(plain(count, generator))
        return drawn[-1]

    task.latents = latents  # type: ignore[method-assign]
    return drawn


@contextmanager
def watch_gradients() -> Iterator[list[list[Tensor]]]:
    """Gradients as each step of an optimiser finds them, in the order of its parameters."""
    found: list[list[Tensor]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        found.append([torch.zeros(()) if one.grad is None else one.grad.clone() for one in parameters])

    handle = register_optimizer_step_pre_hook(note)
    try:
        yield found
    finally:
        handle.remove()


def weights(network: nn.Module) -> list[Tensor]:
    """A copy of all parameters."""
    return [parameter.detach().clone() for parameter in network.parameters()]


def gan_data(folder: Path, workers: int = 0) -> ImageData:
    """Discs of three classes, in twelve batches of two times two."""
    path, buffer = folder / "labelled.npz", io.BytesIO()
    with np.load(random_images(folder, 49)) as discs:
        np.savez(buffer, images=discs["images"], labels=np.arange(49) % 3)
    write_atomic(path, buffer.getvalue())
    settings: dict[str, Any] = {"labels": True, "flip": True, "batch_size": 2, "batches_per_step": 2, "seed": 3}
    data = ImageData(str(path), num_workers=workers, cache=str(folder / "cache"), **settings)
    data.prepare_data()
    return data


def whole_gan(**settings: Any) -> GanTask:
    """A task with all that has a state of its own; with other `settings` of `small_gan` where they are given."""
    penalties = regularisers(R1={"gamma": 1.0, "every_n_steps": 4}, LeCam={"decay": 0.9})
    adaptive = {"_target_": "aigc.augmentation.AdaptiveAugment", "target": -0.5, "speed_images": 200, "colour": 0.0}
    chosen: dict[str, Any] = {
        "loss": "hinge",
        "g_batch_norm": True,
        "n_critic": 2,
        "regularisers": penalties,
        "augmentation": adaptive | {"geometry": 0.0, "probability": 0.2},
        "scheduler": lambda optimizer, total_steps: torch.optim.lr_scheduler.StepLR(optimizer, 5, 0.8),
        "ramp_up": 0.5,
        "half_life": 40,
    }
    return small_gan(3, **(chosen | settings))

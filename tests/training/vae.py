"""A variational autoencoder written as a user would: a network, a factory and a task, and no edit in aigc."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim import Optimizer

from aigc.data.images import to_float
from aigc.data.images.batches import Batch
from aigc.models import ModelFactory
from aigc.models.images.base import ImageGenerator
from aigc.models.images.saved import SavedGenerator
from aigc.tasks import ValidatedImageTask
from aigc.tasks.means import Means


class Decoder(ImageGenerator):
    """Latents to images."""

    def __init__(self, resolution: int, channels: int, classes: int = 0, *, latents: int = 4) -> None:
        super().__init__(resolution, channels, classes)
        self.latent_shape = (latents,)
        self.layers = nn.Sequential(nn.Linear(latents, 32), nn.ReLU(), nn.Linear(32, channels * resolution**2))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        pixels: Tensor = self.layers(latents).tanh()
        return pixels.view(-1, self.channels, self.resolution, self.resolution)


class Autoencoder(ModelFactory):
    """An encoder and a decoder for the images of a data module."""

    def __init__(self, latents: int = 4) -> None:
        self.latents = latents

    def create(self, data: Any) -> nn.ModuleDict:
        shape = {"resolution": data.resolution, "channels": data.channels, "latents": self.latents}
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(data.channels * data.resolution**2, 2 * self.latents))
        return nn.ModuleDict({"encoder": encoder, "decoder": Decoder(**shape)})


class VAE(ValidatedImageTask):
    """Minimises reconstruction error and divergence from the prior (Kingma and Welling, 2014)."""

    monitor = ("val/loss", "min")

    def __init__(self, model: nn.ModuleDict, optimizer: Callable[..., Optimizer], scheduler: Any = None) -> None:
        super().__init__()
        self.encoder, self.decoder = model["encoder"], model["decoder"]
        self.means = Means()
        self._make_optimizer = optimizer

    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        drawn: Tensor = self.decoder.latents(count, generator)
        return drawn

    def generate(self, latents: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        images: Tensor = self.decoder(latents)
        return images

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> Tensor:
        images = to_float(batch["images"])
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        drawn = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        loss = self.losses(images, mean, log_variance, drawn).mean()
        self.check_finite(loss)
        self.means.add("loss", loss)
        return loss

    def losses(self, images: Tensor, mean: Tensor, log_variance: Tensor, drawn: Tensor) -> Tensor:
        """The loss of each image."""
        error = F.mse_loss(self.decoder(drawn), images, reduction="none").flatten(1).sum(1)
        return error + (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2

    def validation_values(self, batch: Batch) -> dict[str, Tensor]:
        images = to_float(batch["images"])
        mean, log_variance = self.encoder(images).chunk(2, dim=1)
        return {"loss": self.losses(images, mean, log_variance, mean)}

    def on_train_batch_end(self, *arguments: Any) -> None:
        if self.at_logged_step():
            self.record({f"train/{name}": float(mean) for name, mean in self.means.take().items()})

    def configure_optimizers(self) -> Optimizer:
        return self._make_optimizer(self.parameters())

    def training_state(self) -> dict[str, Any]:
        return super().training_state() | {"means": self.means.state()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        super().load_training_state(state)
        self.means.load_state(state["means"], self.device)

    def generator_to_save(self) -> SavedGenerator:
        node = {"_target_": "tests.training.vae.Decoder", "latents": self.decoder.latent_shape[0]}
        shape = {name: getattr(self.decoder, name) for name in ("resolution", "channels", "classes")}
        return SavedGenerator(self.decoder, node | shape, [])

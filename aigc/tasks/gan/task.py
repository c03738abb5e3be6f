"""Adversarial training of a generator and a discriminator, in phases over pure parts."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Annotated, Any, ClassVar

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from aigc.augmentation.base import Augmentation
from aigc.config import build
from aigc.config.types import Bound, Slot
from aigc.data.images import to_float
from aigc.data.random_streams import Stream, stream_seed
from aigc.losses.base import Regulariser
from aigc.losses.precision import at_least_float32
from aigc.models.averaging import Averaged
from aigc.models.images.base import ImageGenerator
from aigc.models.images.gan import Gan
from aigc.models.images.saved import SavedGenerator
from aigc.optim.lazy import make_optimizer
from aigc.optim.schedules import half_cosine
from aigc.tasks.gan.batches import check_divisible, split
from aigc.tasks.gan.objectives import DiscriminatorObjective, GeneratorObjective
from aigc.tasks.gan.parts import (
    adversarial_loss,
    build_regularisers,
    check_logit_signs,
    frozen,
    more_micro_batches,
    seed_all,
    sent,
)
from aigc.tasks.gan.phases import make_phases
from aigc.tasks.images.alternating import AlternatingTask
from aigc.tasks.memory import advised


class GanTask(AlternatingTask):
    """Trains a GAN. One batch is one step: `n_critic` of the discriminator, each on its part, and one of the generator.

    The random numbers of a step depend on seed, step and rank alone.

    Args:
        model: Both networks, from `model:`.
        optimizer: Makes an optimiser of either network, from `optimizer:`; see also discriminator_optimizer.
        scheduler: Makes a schedule for each, from `scheduler:`; both move once a step.
        loss: Name of an adversarial loss, or a `_target_` node: minimax, non_saturating, least_squares, hinge,
            wasserstein, relativistic, relativistic_average.
        regularisers: Named `_target_` nodes of aigc.losses; null switches one off.
        augmentation: A `_target_` node of aigc.augmentation, applied to all images that the discriminator sees.
        n_critic: Steps of the discriminator before one of the generator; each takes its share of the batch.
        micro_batches: Number of parts of a batch whose gradients are summed, which saves memory.
        discriminator_optimizer: Arguments of the optimiser that differ for the discriminator.
        generator_clip: Maximum norm of the generator's gradient; null does not clip.
        discriminator_clip: Maximum norm of the discriminator's gradient; null does not clip.
        half_life: Images after which a weight counts half in the averaged generator; 0 does not average.
        ramp_up: Limits the half-life to this share of the images seen so far; null does not.
        auxiliary_weight: Weight of the cross-entropy, if the discriminator has an auxiliary classifier.
        channels_last: Use the channels_last memory format, in which convolutions are faster on most devices.
        compile: Compile the whole losses of both networks, penalties included.
        compile_backend: Backend of torch.compile; inductor needs a C++ compiler on a CPU.
        seed: Seed of latents and all other random numbers.

    Raises:
        ConfigError: Parts do not fit together.
    """

    often_changed: ClassVar = ("loss", "n_critic")
    trains = "a generator with a discriminator"
    headline = ("train/discriminator_loss", "train/generator_loss")

    def __init__(
        self,
        model: Gan,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        loss: Annotated[
            str | dict[str, Any], Slot("aigc.losses.base.AdversarialLoss", names="aigc.losses.adversarial")
        ] = "non_saturating",
        regularisers: Annotated[dict[str, Any] | None, Slot("aigc.losses.base.Regulariser", named=True)] = None,
        augmentation: Annotated[dict[str, Any] | None, Slot("aigc.augmentation.base.Augmentation")] = None,
        n_critic: Annotated[int, Bound(1)] = 1,
        micro_batches: Annotated[int, Bound(1)] = 1,
        discriminator_optimizer: dict[str, Any] | None = None,
        generator_clip: Annotated[float, Bound(0)] | None = None,
        discriminator_clip: Annotated[float, Bound(0)] | None = None,
        half_life: Annotated[float, Bound(0)] = 10_000,
        ramp_up: Annotated[float, Bound(0)] | None = 0.05,
        auxiliary_weight: Annotated[float, Bound(0)] = 1.0,
        channels_last: bool = True,
        compile: bool = False,
        compile_backend: str = "inductor",
        seed: Annotated[int, Bound(0)] = 0,
    ):
        super().__init__(optimizer, scheduler, {"generator": generator_clip, "discriminator": discriminator_clip})
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self.model = model.to(memory_format=self._layout)
        self.averaged = Averaged(model.generator, half_life, ramp_up)
        self.augmentation = build(augmentation, Augmentation, "task.augmentation") if augmentation else None
        penalties = build_regularisers(regularisers, self.recorded_names())
        self.regularisers = nn.ModuleDict(penalties)
        self.n_critic = n_critic
        self.micro_batches = micro_batches
        self.seed = seed
        self._changed = {"discriminator": discriminator_optimizer}
        self._images_seen = 0
        self._real_logits: list[Tensor] = []
        compiled = partial(torch.compile, backend=compile_backend) if compile else None
        adversarial = adversarial_loss(loss)
        check_logit_signs(adversarial, self.augmentation)
        self._phases = make_phases(self.model, adversarial, penalties, self._shown, auxiliary_weight, compiled)

    def networks(self) -> dict[str, nn.Module]:
        """Return the generator and the discriminator."""
        return {"generator": self.model.generator, "discriminator": self.model.discriminator}

    def recorded_names(self) -> set[str]:
        """Return the names of all recorded values but those of penalties, which have the names of their nodes."""
        own = {"augmentation_probability", *DiscriminatorObjective.recorded, *GeneratorObjective.recorded}
        return super().recorded_names() | own

    def scales_badly(self) -> str | None:
        """Return which regulariser takes a derivative inside the loss, before it is scaled."""
        differentiate = [name for name, one in self.regularisers.items() if getattr(one, "differentiates", True)]
        if not differentiate:
            return super().scales_badly()
        name = differentiate[0]
        return (
            f"task.regularisers.{name} takes a derivative inside the loss, where it vanishes before the loss is scaled"
        )

    def make_optimizer(self, which: str, network: nn.Module) -> Optimizer:
        """Create the optimiser of one network, corrected for the additional steps of lazy penalties."""
        return make_optimizer(self._make_optimizer, network, self._phases.intervals[which], self._changed.get(which))

    def latents(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw standard normal latents; None draws from the global generator."""
        return self.model.generator.latents(count, generator)

    def conditions(self, count: int, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Draw classes, as frequent as among the real images."""
        if not self.model.class_names:
            return {}
        shares = self.model.class_shares.cpu()
        return {"labels": torch.multinomial(shares, count, replacement=True, generator=generator)}

    def grid_conditions(self, count: int) -> dict[str, Tensor]:
        """Return all classes in turn."""
        classes = len(self.model.class_names)
        return {"labels": torch.arange(count) % classes} if classes else {}

    def generate(self, latents: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        """Make images with the averaged generator."""
        images: Tensor = self.averaged.module(latents, conditions.get("labels"))
        return images

    def training_step(self, batch: dict[str, Tensor], batch_index: int) -> None:
        """Run all phases of one step."""
        seed_all(stream_seed(Stream.STEP, self.seed, self.steps_done, self.trainer.global_rank), self.device)
        real, labels = to_float(batch["images"]).contiguous(memory_format=self._layout), batch.get("labels")
        check_divisible(len(real), self.n_critic, self.micro_batches)
        for regulariser in self.regularisers.values():
            assert isinstance(regulariser, Regulariser)
            regulariser.advance(half_cosine(self.steps_done / self.trainer.max_steps))
        parts = split(real, labels, self.n_critic)
        for number, part in enumerate(parts):
            self._train_discriminator(*part, self.steps_done * self.n_critic + number)
        self._train_generator(*parts[-1], self.steps_done)
        images = len(real) * self.trainer.world_size
        self.averaged.update(self.model.generator, images, self._images_seen)
        self._images_seen += images
        self.end_step()

    def _train_discriminator(self, real: Tensor, labels: Tensor | None, step: int) -> None:
        """Minimise the discriminator's loss of real and fake images, then the lazy penalties due."""
        losses = self._discriminator_losses(self._phases.discriminator, real, labels)
        self.minimise("discriminator", losses, self.micro_batches)
        if self.augmentation is not None:
            self.augmentation.adapt(torch.cat(self._real_logits))
            self.means.add("augmentation_probability", self.augmentation.probability)
        self._real_logits.clear()
        for objective in self._phases.lazy.values():
            if step % objective.gain == 0:
                losses = self._discriminator_losses(objective, real, labels)
                self.minimise("discriminator", losses, self.micro_batches)

    def _discriminator_losses(
        self, objective: DiscriminatorObjective, real: Tensor, labels: Tensor | None
    ) -> Iterator[Tensor]:
        for part, wanted, latents in self._micro_batches(real, labels):
            with torch.no_grad():
                fake = self.model.generator(latents, wanted) if objective.needs_fake else None
            result = objective(part, fake, wanted, wanted)
            for name, value in result.values.items():
                self.means.add(name, value)
            if objective.loss is not None:
                self._real_logits.append(result.real_logits)
            yield result.loss / self.micro_batches

    def _train_generator(self, real: Tensor, labels: Tensor | None, step: int) -> None:
        """Minimise the generator's loss, then the lazy penalties due; the discriminator's weights get no gradient."""
        at_once = [name for name, one in self._phases.of_generator.items() if one.every_n_steps == 1]
        due = [n for n, one in self._phases.of_generator.items() if n not in at_once and step % one.every_n_steps == 0]
        with frozen(self.model.discriminator):
            losses = [self._generator_losses(real, labels), *(self._penalties(n, real, labels) for n in at_once)]
            self.minimise("generator", chain(*losses), self.micro_batches * len(losses), counts=True)
        for name in due:
            self.minimise("generator", self._penalties(name, real, labels), self.micro_batches)

    def _generator_losses(self, real: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        for part, wanted, latents in self._micro_batches(real, labels):
            loss = self._phases.generator(part, latents, wanted)
            self.means.add("generator_loss", loss)
            yield loss / self.micro_batches

    def _penalties(self, name: str, real: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        regulariser = self._phases.of_generator[name]
        for _, wanted, latents in self._micro_batches(real, labels):
            penalty = regulariser(self.model.generator, latents, wanted)
            self.means.add(name, penalty)
            yield penalty * (regulariser.weight * regulariser.every_n_steps / self.micro_batches)

    def _micro_batches(self, real: Tensor, labels: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
        """Yield the parts of a batch with latents, drawn at once so that they do not depend on the number of parts."""
        latents = sent(self.latents(len(real)), real.device)
        parts = split(real, labels, self.micro_batches)
        for (part, wanted), drawn in zip(parts, latents.chunk(self.micro_batches), strict=True):
            yield part, wanted, drawn

    def _shown(self, images: Tensor) -> Tensor:
        """Apply the augmentation, in float32 at least."""
        images = at_least_float32(images)
        return images if self.augmentation is None else self.augmentation(images)

    @classmethod
    def memory_advice(cls, cfg: DictConfig) -> list[str]:
        """Advise more micro-batches, which leave the gradient as it is."""
        return advised(more_micro_batches(cfg), *super().memory_advice(cfg))

    def training_state(self) -> dict[str, Any]:
        """Add the number of images seen, on which the averaged generator depends."""
        return super().training_state() | {"images_seen": self._images_seen}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what `training_state` returned."""
        super().load_training_state(state)
        self._images_seen = state["images_seen"]

    def generator_to_save(self) -> SavedGenerator:
        """Return the averaged generator."""
        generator = self.averaged.module
        assert isinstance(generator, ImageGenerator)
        return SavedGenerator(generator, self.model.generator_config, self.model.class_names)

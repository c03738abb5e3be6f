"""The objectives of the two networks of a GAN, as functions of tensors that can be compiled whole."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses import AdversarialLoss
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.precision import at_least_float32
from aigc.models.images.gan.base import Discriminator, DiscriminatorOutput
from aigc.models.images.gan.networks import Gan


class ObjectiveResult(NamedTuple):
    """A loss and its terms."""

    loss: Tensor
    """Scalar, with its graph."""
    real_logits: Tensor
    """Of each real image, (n,), without graph."""
    values: dict[str, Tensor]
    """Values to record by name, scalars without graph: logits, losses, penalties without their weights."""


class Branch(NamedTuple):
    """The real or the fake images of a batch with the discriminator's output for them."""

    shown: Tensor
    """The images after augmentation, (n, channels, height, width)."""
    output: DiscriminatorOutput
    gradient: Tensor | None
    """Derivative of the sum of `output.per_image()` with respect to the images before augmentation."""


class DiscriminatorObjective:
    """The objective of the discriminator: its adversarial loss, if any, and regularisers.

    The derivative with respect to images is taken by `torch.func.grad` inside the objective: the whole can be compiled,
    while a compiled network alone could not be differentiated twice. One pass gives logits and derivatives. The
    derivative includes augmentation, as in the code of Karras et al. (2020) and Huang et al. (2025).

    Args:
        discriminator: The network.
        loss: The adversarial loss; None for a lazy regulariser, which has its own step.
        regularisers: By name.
        shown: The augmentation of images before the discriminator sees them.
        gain: Factor of all penalties besides their weights: the interval in steps of a lazy one.
        auxiliary_weight: Weight of the cross-entropy of an auxiliary classifier, if the network has one.
        compiled: Compiles a function; None does not compile.

    Attributes:
        needs_fake: Whether it uses generated images at all.
    """

    recorded = ("discriminator_loss", "classifier_loss", "real_logit", "fake_logit")
    """Names of its values besides penalties."""

    def __init__(
        self,
        discriminator: Discriminator,
        loss: AdversarialLoss | None,
        regularisers: Mapping[str, DiscriminatorRegulariser],
        shown: Callable[[Tensor], Tensor] = at_least_float32,
        gain: int = 1,
        auxiliary_weight: float = 1.0,
        compiled: Callable[..., Any] | None = None,
    ) -> None:
        self.discriminator = discriminator
        self.loss = loss
        self.regularisers = dict(regularisers)
        self.shown = shown
        self.gain = gain
        self.auxiliary_weight = auxiliary_weight
        self.needs_fake = loss is not None or any(one.needs_fake for one in self.regularisers.values())
        self._evaluated = compiled(self._evaluate) if compiled else self._evaluate
        self._differentiates = tuple(
            any(getattr(one, wanted) for one in self.regularisers.values())
            for wanted in ("real_gradient", "fake_gradient")
        )

    def __call__(
        self, real: Tensor, fake: Tensor | None, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> ObjectiveResult:
        """Compute the loss of one batch.

        Args:
            real: Real images, (n, channels, height, width), not augmented yet.
            fake: Generated images, without a graph; None if `needs_fake` is false.
            real_labels: Classes of the real images, int64 (n,), or None.
            fake_labels: Classes of the generated images.
        """
        # Random numbers of penalties are drawn here: a compiled function would draw other ones.
        drawn = {name: regulariser.draw(real) for name, regulariser in self.regularisers.items()}
        # Python numbers that change from step to step would cause recompilation; tensors do not.
        weights = {name: real.new_full((), self.gain * one.weight) for name, one in self.regularisers.items()}
        result: ObjectiveResult = self._evaluated(real, fake, real_labels, fake_labels, drawn, weights)
        return result

    def _evaluate(
        self,
        real: Tensor,
        fake: Tensor | None,
        real_labels: Tensor | None,
        fake_labels: Tensor | None,
        drawn: dict[str, dict[str, Tensor]],
        weights: dict[str, Tensor],
    ) -> ObjectiveResult:
        of_real, of_fake = self._branches(real, fake, real_labels, fake_labels)
        phase = DiscriminatorPhase(
            lambda images, labels: discriminate(self.discriminator, images, labels).per_image(),
            of_real.shown,
            of_fake and of_fake.shown,
            real_labels,
            fake_labels,
            of_real.output.per_image(),
            of_fake and of_fake.output.per_image(),
            of_real.gradient,
            of_fake and of_fake.gradient,
        )
        loss, values = real.new_zeros(()), {}
        for name, regulariser in self.regularisers.items():
            values[name] = regulariser(phase, drawn[name])
            loss = loss + weights[name] * values[name]
        output = of_real.output
        if self.loss is not None:
            assert of_fake is not None
            values |= {"real_logit": output.logits.mean(), "fake_logit": of_fake.output.logits.mean()}
            values["discriminator_loss"] = discriminator_loss(self.loss, output, of_fake.output)
            loss = loss + values["discriminator_loss"]
            if output.classes is not None and real_labels is not None:
                values["classifier_loss"] = F.cross_entropy(output.classes, real_labels)
                loss = loss + self.auxiliary_weight * values["classifier_loss"]
        return ObjectiveResult(loss, output.logits.detach(), {name: value.detach() for name, value in values.items()})

    def _branches(
        self, real: Tensor, fake: Tensor | None, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> tuple[Branch, Branch | None]:
        """Return both branches, in one pass where that costs nothing: both need a derivative, or neither does."""
        of_real, of_fake = self._differentiates
        if fake is None:
            return self._discriminate([real], [real_labels], of_real)[0], None
        if of_real == of_fake:
            first, second = self._discriminate([real, fake], [real_labels, fake_labels], of_real)
            return first, second
        return self._discriminate([real], [real_labels], of_real)[0], self._discriminate(
            [fake], [fake_labels], of_fake
        )[0]

    def _discriminate(
        self, images: Sequence[Tensor], labels: Sequence[Tensor | None], differentiate: bool
    ) -> list[Branch]:
        def summed_output(*images: Tensor) -> tuple[Tensor, list[tuple[Tensor, dict[str, Tensor]]]]:
            shown = [self.shown(one) for one in images]
            outputs = discriminate_all(self.discriminator, shown, labels)
            total = torch.cat([one.per_image() for one in outputs]).sum()
            # torch.func accepts tensors alone.
            return total, list(zip(shown, map(_parts, outputs), strict=True))

        gradients: Sequence[Tensor | None] = [None] * len(images)
        if differentiate:
            gradients, branches = torch.func.grad(summed_output, tuple(range(len(images))), has_aux=True)(*images)
        else:
            branches = summed_output(*images)[1]
        return [
            Branch(shown, DiscriminatorOutput(**parts), gradient)
            for (shown, parts), gradient in zip(branches, gradients, strict=True)
        ]


def _parts(output: DiscriminatorOutput) -> dict[str, Tensor]:
    return {name: part for name, part in output._asdict().items() if part is not None}


def discriminate(discriminator: Discriminator, images: Tensor, labels: Tensor | None) -> DiscriminatorOutput:
    """Run the discriminator; its output is float32 at least, as losses of bfloat16 logits are too coarse."""
    output: DiscriminatorOutput = discriminator(images, labels)
    return DiscriminatorOutput(**{name: at_least_float32(part) for name, part in _parts(output).items()})


def discriminate_all(
    discriminator: Discriminator, images: Sequence[Tensor], labels: Sequence[Tensor | None]
) -> list[DiscriminatorOutput]:
    """Run the discriminator on several batches, in one pass where that gives the same."""
    if len(images) == 1 or discriminator.mixes_samples or len({len(one) for one in images}) > 1:
        return [discriminate(discriminator, *pair) for pair in zip(images, labels, strict=True)]
    given = [one for one in labels if one is not None]
    both = discriminate(discriminator, torch.cat(list(images)), torch.cat(given) if len(given) == len(labels) else None)
    shares = {name: part.chunk(len(images)) for name, part in _parts(both).items()}
    return [
        DiscriminatorOutput(**{name: share[index] for name, share in shares.items()}) for index in range(len(images))
    ]


def discriminator_loss(loss: AdversarialLoss, real: DiscriminatorOutput, fake: DiscriminatorOutput) -> Tensor:
    """Compute the adversarial loss of images, plus that of their pixels (Schönfeld et al., 2020)."""
    total = loss.discriminator(real.logits, fake.logits)
    if real.pixels is not None and fake.pixels is not None:
        total = total + loss.discriminator(real.pixels, fake.pixels)
    return total


class GeneratorObjective:
    """The objective of the generator: the adversarial loss of its images.

    Args:
        model: Both networks.
        loss: The adversarial loss.
        shown: The augmentation of images before the discriminator sees them.
        auxiliary_weight: Weight of the cross-entropy of an auxiliary classifier, if there is one.
        compiled: Compiles a function; None does not compile.
    """

    recorded = ("generator_loss",)
    """Names of its values."""

    def __init__(
        self,
        model: Gan,
        loss: AdversarialLoss,
        shown: Callable[[Tensor], Tensor],
        auxiliary_weight: float = 1.0,
        compiled: Callable[..., Any] | None = None,
    ) -> None:
        self.generator = model.generator
        self.discriminator = model.discriminator
        self.loss = loss
        self.shown = shown
        self.auxiliary_weight = auxiliary_weight
        self._evaluated = compiled(self._evaluate) if compiled else self._evaluate

    def __call__(self, real: Tensor, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Compute the loss of one batch, a scalar; only relativistic losses use the real images."""
        loss: Tensor = self._evaluated(real, latents, labels)
        return loss

    def _evaluate(self, real: Tensor, latents: Tensor, labels: Tensor | None) -> Tensor:
        compared = discriminate(self.discriminator, self.shown(real), labels) if self.loss.compares else None
        fake = discriminate(self.discriminator, self.shown(self.generator(latents, labels)), labels)
        total = self.loss.generator(None if compared is None else compared.logits, fake.logits)
        if fake.pixels is not None:
            pixels = None if compared is None or compared.pixels is None else compared.pixels
            total = total + self.loss.generator(pixels, fake.pixels)
        if fake.classes is not None and labels is not None:
            total = total + self.auxiliary_weight * F.cross_entropy(fake.classes, labels)
        return total

"""What the two networks of a GAN minimise, as plain functions of tensors that can be compiled whole."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from aigc.losses import AdversarialLoss
from aigc.losses.base import DiscriminatorPhase, DiscriminatorRegulariser
from aigc.losses.precision import at_least_float32
from aigc.models.gan.base import Discriminator, Judgement
from aigc.models.gan.networks import Gan


class Outcome(NamedTuple):
    """A loss and what it was made of."""

    loss: Tensor
    """Scalar, with its graph."""
    real_logits: Tensor
    """Of each real image, (n,), without graph."""
    values: dict[str, Tensor]
    """What is recorded, by name, scalars without graph: logits, losses, plain penalties."""


class DiscriminatorObjective:
    """What the discriminator minimises: its adversarial loss, or none, and regularisers.

    The derivative by images is taken by `torch.func.grad` inside of it: the whole can be compiled, while a compiled
    network alone could not be differentiated twice. One pass gives logits and derivatives.

    Args:
        discriminator: The network.
        loss: The adversarial loss; None where a regulariser has a step of its own.
        regularisers: By name.
        gain: What penalties are multiplied by besides their weights; a lazy one's interval in steps.
        auxiliary_weight: Of the auxiliary classifier's cross-entropy, where the network has one.
        compiled: Compiles a function; None takes it as it is.
    """

    def __init__(
        self,
        discriminator: Discriminator,
        loss: AdversarialLoss | None,
        regularisers: Mapping[str, DiscriminatorRegulariser],
        gain: int = 1,
        auxiliary_weight: float = 1.0,
        compiled: Callable[..., Any] | None = None,
    ) -> None:
        self.discriminator = discriminator
        self.loss = loss
        self.regularisers = dict(regularisers)
        self.gain = gain
        self.auxiliary_weight = auxiliary_weight
        self._evaluated = compiled(self._evaluate) if compiled else self._evaluate
        self._derived = [
            place
            for place, wanted in enumerate(("real_gradient", "fake_gradient"))
            if any(getattr(regulariser, wanted) for regulariser in self.regularisers.values())
        ]

    def __call__(self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None) -> Outcome:
        """The loss of one batch; arguments as the attributes of `aigc.losses.base.DiscriminatorPhase`."""
        # What is random in penalties is drawn here, as a compiled function would draw other numbers.
        drawn = {name: regulariser.draw(real, fake) for name, regulariser in self.regularisers.items()}
        # Numbers that change from step to step would be compiled anew each time; tensors are not.
        weights = {name: real.new_full((), self.gain * one.weight) for name, one in self.regularisers.items()}
        outcome: Outcome = self._evaluated(real, fake, real_labels, fake_labels, drawn, weights)
        return outcome

    def _evaluate(
        self,
        real: Tensor,
        fake: Tensor,
        real_labels: Tensor | None,
        fake_labels: Tensor | None,
        drawn: dict[str, dict[str, Tensor]],
        weights: dict[str, Tensor],
    ) -> Outcome:
        judged_real, judged_fake, gradients = self._judge(real, fake, real_labels, fake_labels)
        phase = DiscriminatorPhase(
            lambda images, labels: judge(self.discriminator, images, labels).per_image(),
            real,
            fake,
            real_labels,
            fake_labels,
            judged_real.per_image(),
            judged_fake.per_image(),
            *gradients,
        )
        loss, values = real.new_zeros(()), {}
        for name, regulariser in self.regularisers.items():
            values[name] = regulariser(phase, drawn[name])
            loss = loss + weights[name] * values[name]
        if self.loss is not None:
            values |= {"real_logit": judged_real.logits.mean(), "fake_logit": judged_fake.logits.mean()}
            values["discriminator_loss"] = discriminator_loss(self.loss, judged_real, judged_fake)
            loss = loss + values["discriminator_loss"]
            if judged_real.classes is not None and real_labels is not None:
                values["classifier_loss"] = F.cross_entropy(judged_real.classes, real_labels)
                loss = loss + self.auxiliary_weight * values["classifier_loss"]
        return Outcome(loss, judged_real.logits.detach(), {name: value.detach() for name, value in values.items()})

    def _judge(
        self, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> tuple[Judgement, Judgement, list[Tensor | None]]:
        """Both judgements, and the derivatives that are asked for of the sums over the batch."""
        gradients: list[Tensor | None] = [None, None]
        if not self._derived:
            return *judge_both(self.discriminator, real, fake, real_labels, fake_labels), gradients

        def summed(real: Tensor, fake: Tensor) -> tuple[Tensor, list[dict[str, Tensor]]]:
            judged = judge_both(self.discriminator, real, fake, real_labels, fake_labels)
            total = torch.cat([one.per_image() for one in judged]).sum()
            # torch.func takes tensors alone.
            return total, [{name: part for name, part in one._asdict().items() if part is not None} for one in judged]

        found, parts = torch.func.grad(summed, tuple(self._derived), has_aux=True)(real, fake)
        for place, gradient in zip(self._derived, found, strict=True):
            gradients[place] = gradient
        return Judgement(**parts[0]), Judgement(**parts[1]), gradients


def judge(discriminator: Discriminator, images: Tensor, labels: Tensor | None) -> Judgement:
    """What the discriminator says, in float32 at least: losses of bfloat16 logits are too coarse."""
    found: Judgement = discriminator(images, labels)
    return Judgement(**{name: at_least_float32(part) for name, part in found._asdict().items() if part is not None})


def judge_both(
    discriminator: Discriminator, real: Tensor, fake: Tensor, real_labels: Tensor | None, fake_labels: Tensor | None
) -> tuple[Judgement, Judgement]:
    """Judge real and made images, in one pass where that is the same."""
    if discriminator.mixes_samples or len(real) != len(fake):
        return judge(discriminator, real, real_labels), judge(discriminator, fake, fake_labels)
    labels = None if real_labels is None or fake_labels is None else torch.cat([real_labels, fake_labels])
    both = judge(discriminator, torch.cat([real, fake]), labels)
    halves = {name: part.chunk(2) for name, part in both._asdict().items() if part is not None}
    first, second = ({name: half[place] for name, half in halves.items()} for place in (0, 1))
    return Judgement(**first), Judgement(**second)


def discriminator_loss(loss: AdversarialLoss, real: Judgement, fake: Judgement) -> Tensor:
    """The adversarial loss of images, plus that of their pixels (Schönfeld et al., 2020)."""
    total = loss.discriminator(real.logits, fake.logits)
    if real.pixels is not None and fake.pixels is not None:
        total = total + loss.discriminator(real.pixels, fake.pixels)
    return total


class GeneratorObjective:
    """What the generator minimises: how little its images are taken for real.

    Args:
        model: Both networks.
        loss: The adversarial loss.
        shown: What becomes of images before the discriminator sees them.
        auxiliary_weight: Of the cross-entropy, where an auxiliary classifier is to find the classes.
        compiled: Compiles a function; None takes it as it is.
    """

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
        """The loss of one batch, a scalar; only losses that compare look at the real images."""
        loss: Tensor = self._evaluated(real, latents, labels)
        return loss

    def _evaluate(self, real: Tensor, latents: Tensor, labels: Tensor | None) -> Tensor:
        compared = judge(self.discriminator, self.shown(real), labels) if self.loss.compares else None
        fake = judge(self.discriminator, self.shown(self.generator(latents, labels)), labels)
        total = self.loss.generator(None if compared is None else compared.logits, fake.logits)
        if fake.pixels is not None:
            pixels = None if compared is None or compared.pixels is None else compared.pixels
            total = total + self.loss.generator(pixels, fake.pixels)
        if fake.classes is not None and labels is not None:
            total = total + self.auxiliary_weight * F.cross_entropy(fake.classes, labels)
        return total

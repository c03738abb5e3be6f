"""The objectives of a GAN's phases: the main losses with what is added at every step, and lazy regularisers apart."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor

from aigc.losses.base import AdversarialLoss, DiscriminatorRegulariser, GeneratorRegulariser, Regulariser
from aigc.models.images.gan import Gan
from aigc.tasks.gan.objectives import DiscriminatorObjective, GeneratorObjective
from aigc.tasks.gan.parts import check_no_batch_normalisation


class Phases(NamedTuple):
    """What is minimised in the steps of both networks."""

    discriminator: DiscriminatorObjective
    lazy: dict[str, DiscriminatorObjective]
    """Regularisers of the discriminator that are not computed at every step, each with a step of its own."""
    generator: GeneratorObjective
    of_generator: dict[str, GeneratorRegulariser]
    intervals: dict[str, list[int]]
    """Steps between two computations of each regulariser, by network."""


def make_phases(
    model: Gan,
    loss: AdversarialLoss,
    regularisers: Mapping[str, Regulariser],
    shown: Callable[[Tensor], Tensor],
    auxiliary_weight: float,
    compiled: Callable[..., Any] | None,
) -> Phases:
    """Create the objectives; arguments as of `DiscriminatorObjective` and `GeneratorObjective`.

    Raises:
        ConfigError: A regulariser does not suit the discriminator.
    """
    of_discriminator = {name: one for name, one in regularisers.items() if isinstance(one, DiscriminatorRegulariser)}
    of_generator = {name: one for name, one in regularisers.items() if isinstance(one, GeneratorRegulariser)}
    check_no_batch_normalisation(model.discriminator, of_discriminator)
    make = partial(DiscriminatorObjective, model.discriminator, shown=shown, compiled=compiled)
    at_once = {name: one for name, one in of_discriminator.items() if one.every_n_steps == 1}
    discriminator = make(loss, at_once, auxiliary_weight=auxiliary_weight)
    lazy = {
        name: make(None, {name: one}, gain=one.every_n_steps)
        for name, one in of_discriminator.items()
        if name not in at_once
    }
    intervals = {
        "generator": [one.every_n_steps for one in of_generator.values()],
        "discriminator": [one.every_n_steps for one in of_discriminator.values()],
    }
    generator = GeneratorObjective(model, loss, shown, auxiliary_weight, compiled)
    return Phases(discriminator, lazy, generator, of_generator, intervals)

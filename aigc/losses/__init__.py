"""Adversarial losses by name, and regularisers: pure functions, and the same as parts of a config.

A loss is one class in a module of `aigc.losses.adversarial`, and the module's name is its own. A regulariser is a
function, such as `r1_penalty`, beside the class that a config names, such as `R1`.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from aigc.config.exports import lazy_exports
from aigc.config.problems import choices
from aigc.errors import InputError

if TYPE_CHECKING:  # the types that other packages use; a loss needs no line here
    from aigc.losses.base import AdversarialLoss as AdversarialLoss


def names() -> list[str]:
    """Names of the adversarial losses, in alphabetical order; found without importing torch."""
    return sorted(module.name for module in iter_modules(import_module("aigc.losses.adversarial").__path__))


def get(name: str) -> "AdversarialLoss":
    """Make an adversarial loss by its name.

    Args:
        name: minimax, non_saturating, least_squares, hinge, wasserstein, relativistic, relativistic_average, or that of
            another module in `aigc.losses.adversarial`.

    Raises:
        InputError: The loss is unknown.
    """
    if name not in names():
        raise InputError(f"there is no adversarial loss {name!r}. {choices(name, names())}")
    from aigc.losses.base import AdversarialLoss

    module = import_module(f"aigc.losses.adversarial.{name}")
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, AdversarialLoss)]
    loss: AdversarialLoss = next(kind for kind in kinds if kind.__module__ == module.__name__)()
    return loss


__getattr__, __dir__ = lazy_exports(__name__)

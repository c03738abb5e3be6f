"""Adversarial losses by name, and regularisers: pure functions, and the same as parts of a config.

A loss is one class in a module of `aigc.losses.adversarial`, and the module's name is its own. A regulariser is a
function, such as `r1_penalty`, beside the class that a config names, such as `R1`.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from aigc.config.problems import choices
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.losses.adversarial.hinge import Hinge
    from aigc.losses.adversarial.least_squares import LeastSquares
    from aigc.losses.adversarial.minimax import Minimax
    from aigc.losses.adversarial.non_saturating import NonSaturating
    from aigc.losses.adversarial.relativistic import Relativistic
    from aigc.losses.adversarial.relativistic_average import RelativisticAverage
    from aigc.losses.adversarial.wasserstein import Wasserstein
    from aigc.losses.base import (
        AdversarialLoss,
        DiscriminatorPhase,
        DiscriminatorRegulariser,
        GeneratorRegulariser,
        Regulariser,
    )
    from aigc.losses.regularisers.consistency import Consistency, consistency_penalty
    from aigc.losses.regularisers.dragan import DRAGAN, dragan_penalty
    from aigc.losses.regularisers.gradient_penalty import GradientPenalty, gradient_penalty
    from aigc.losses.regularisers.input_gradient import input_gradient, squared_norm
    from aigc.losses.regularisers.lecam import LeCam, lecam_penalty
    from aigc.losses.regularisers.path_length import PathLength, path_length_penalty
    from aigc.losses.regularisers.r1 import R1, r1_penalty
    from aigc.losses.regularisers.r2 import R2, r2_penalty

__all__ = [
    "DRAGAN",
    "R1",
    "R2",
    "AdversarialLoss",
    "Consistency",
    "DiscriminatorPhase",
    "DiscriminatorRegulariser",
    "GeneratorRegulariser",
    "GradientPenalty",
    "Hinge",
    "LeCam",
    "LeastSquares",
    "Minimax",
    "NonSaturating",
    "PathLength",
    "Regulariser",
    "Relativistic",
    "RelativisticAverage",
    "Wasserstein",
    "consistency_penalty",
    "dragan_penalty",
    "get",
    "gradient_penalty",
    "input_gradient",
    "lecam_penalty",
    "names",
    "path_length_penalty",
    "r1_penalty",
    "r2_penalty",
    "squared_norm",
]
_MODULES = {
    "DRAGAN": "regularisers.dragan",
    "R1": "regularisers.r1",
    "R2": "regularisers.r2",
    "Consistency": "regularisers.consistency",
    "GradientPenalty": "regularisers.gradient_penalty",
    "Hinge": "adversarial.hinge",
    "LeCam": "regularisers.lecam",
    "LeastSquares": "adversarial.least_squares",
    "Minimax": "adversarial.minimax",
    "NonSaturating": "adversarial.non_saturating",
    "PathLength": "regularisers.path_length",
    "Relativistic": "adversarial.relativistic",
    "RelativisticAverage": "adversarial.relativistic_average",
    "Wasserstein": "adversarial.wasserstein",
    "consistency_penalty": "regularisers.consistency",
    "dragan_penalty": "regularisers.dragan",
    "gradient_penalty": "regularisers.gradient_penalty",
    "input_gradient": "regularisers.input_gradient",
    "lecam_penalty": "regularisers.lecam",
    "path_length_penalty": "regularisers.path_length",
    "r1_penalty": "regularisers.r1",
    "r2_penalty": "regularisers.r2",
    "squared_norm": "regularisers.input_gradient",
}


def names() -> list[str]:
    """Names of the adversarial losses, in alphabetical order; found without importing torch."""
    return sorted(module.name for module in iter_modules(import_module("aigc.losses.adversarial").__path__))


def get(name: str) -> "AdversarialLoss":
    """Make an adversarial loss by its name.

    Args:
        name: minimax, non_saturating, least_squares, hinge, wasserstein, relativistic, relativistic_average, or that of
            another module in `aigc.losses.adversarial`.

    Raises:
        InputError: There is no such loss.
    """
    if name not in names():
        raise InputError(f"there is no adversarial loss {name!r}. {choices(name, names())}")
    from aigc.losses.base import AdversarialLoss

    module = import_module(f"aigc.losses.adversarial.{name}")
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, AdversarialLoss)]
    loss: AdversarialLoss = next(kind for kind in kinds if kind.__module__ == module.__name__)()
    return loss


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'base')}"), name)

"""Learned vectors between fixed random matrices."""

from collections.abc import Sequence
from typing import Annotated

from peft import PeftConfig, VeraConfig
from torch import nn

from aigc.config.types import Bound
from aigc.models.adapters.peft import LayerAdapter
from aigc.models.adapters.targets import ALL_LINEAR


class VeRA(LayerAdapter):
    """Updates by random matrices that all layers share, and trained vectors (Kopiczko et al., 2023), by PEFT.

    Args:
        rank: Rank of the random matrices.
        d_initial: Value that the vectors of the rank begin with.
        dropout: Probability with which an input of the updates is set to zero.
        seed: Seed of the random matrices, which are no part of checkpoints.
        target_modules: `all-linear`, which leaves out the output layer; a list of names, or ends of names, of layers;
            or a regular expression of whole names.
        modules_to_save: Names, or ends of names, of modules that are trained whole.
        merge: Whether a finished run leaves merged weights in model/, or the adapter alone in PEFT's layout (false).
    """

    def __init__(
        self,
        rank: Annotated[int, Bound(1)] = 256,
        d_initial: float = 0.1,
        dropout: Annotated[float, Bound(0, 1)] = 0.0,
        seed: int = 0,
        target_modules: str | Sequence[str] = ALL_LINEAR,
        modules_to_save: Sequence[str] = (),
        merge: bool = True,
    ) -> None:
        super().__init__(target_modules, modules_to_save, merge)
        self.rank, self.d_initial, self.dropout, self.seed = rank, d_initial, dropout, seed

    def settings(self, model: nn.Module) -> PeftConfig:
        """Return the configuration; see `PeftAdapter.settings`."""
        return VeraConfig(
            r=self.rank,
            d_initial=self.d_initial,
            vera_dropout=self.dropout,
            projection_prng_key=self.seed,
            target_modules=self.targets(model),
            modules_to_save=self.modules_to_save or None,
        )

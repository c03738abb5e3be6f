"""AdamW whose state has eight bits a number, from bitsandbytes."""

from collections.abc import Iterable
from typing import Annotated, Any

from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound


class AdamW8Bit(Optimizer):
    """AdamW with its two averages in eight bits, in blocks (Dettmers et al., 2022, arXiv:2110.02861).

    The optimiser itself is bitsandbytes.optim.AdamW8bit, which the extra `quantised` installs. Its weights are float32.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Added to the denominator.
        weight_decay: Share of the weights that is taken off, times the learning rate.
        min_8bit_size: Numbers in a weight from which on its averages have eight bits; smaller ones stay float32.

    Raises:
        ConfigError: The package is missing.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Annotated[float, Bound(0)] = 3e-4,
        betas: tuple[Annotated[float, Bound(0, 1)], Annotated[float, Bound(0, 1)]] = (0.9, 0.95),
        eps: Annotated[float, Bound(0)] = 1e-8,
        weight_decay: Annotated[float, Bound(0)] = 0.1,
        min_8bit_size: Annotated[int, Bound(1)] = 4096,
    ):
        try:
            from bitsandbytes.optim import AdamW8bit
        except ImportError as error:
            what = "8-bit AdamW needs bitsandbytes: pip install 'aigc[quantised]'"
            raise ConfigError([Problem("optimizer._target_", what)]) from error
        self.__class__ = AdamW8bit  # its own state, with all that it does to save and load it
        AdamW8bit.__init__(self, params, lr, betas, eps, weight_decay, min_8bit_size=min_8bit_size)

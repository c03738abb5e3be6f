"""AdamW for weights in bfloat16, which rounds them at random so that small steps are not lost."""

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from aigc.config.types import Bound
from aigc.optim.closure import loss_of

_LOST_BITS = 16
"""Bits of a float32 that a bfloat16 does not have."""
_MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamWBF16(Optimizer):
    """AdamW (Loshchilov and Hutter, 2019) with stochastic rounding of weights in bfloat16.

    A weight in bfloat16 has three digits, and a step of AdamW is mostly smaller than half of the last one: rounded to
    the nearest, it would be lost. Rounded up or down at random, with the probability of what is left out, it arrives
    on average (Zamirai et al., 2020, arXiv:2010.06192). No float32 copy of the weights is kept. Other weights are
    stepped as torch.optim.AdamW does.

    The random numbers are a function of seed, step and parameter, so that a resumed run draws the same.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate.
        betas: Decay rates of the averages of gradients and of their squares.
        eps: Added to the denominator.
        weight_decay: Share of the weights that is taken off, times the learning rate.
        state_dtype: Number format of the two averages of a weight in bfloat16; bfloat16 rounds these at random, too.
        seed: Of the random numbers.
    """

    rounds_stochastically = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: Annotated[float, Bound(0)] = 3e-4,
        betas: tuple[Annotated[float, Bound(0, 1)], Annotated[float, Bound(0, 1)]] = (0.9, 0.95),
        eps: Annotated[float, Bound(0)] = 1e-8,
        weight_decay: Annotated[float, Bound(0)] = 0.1,
        state_dtype: Literal["float32", "bfloat16"] = "float32",
        seed: Annotated[int, Bound(0)] = 0,
    ):
        self._state_dtype, self._seed = getattr(torch, state_dtype), seed
        self._generators: dict[torch.device, torch.Generator] = {}
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step on the gradients of all parameters that have one; returns the loss of the closure."""
        loss = loss_of(closure)
        number = 0
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group, number)
                number += 1
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; torch would convert the averages to the number format of the weights."""
        super().load_state_dict(state_dict)
        numbers = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        parameters = chain.from_iterable(group["params"] for group in self.param_groups)
        for number, parameter in zip(numbers, parameters, strict=True):
            for name in _MOMENTS:
                if name in (saved := state_dict["state"].get(number, {})):
                    self.state[parameter][name] = saved[name].to(parameter.device, copy=True)

    def _update(self, parameter: Tensor, group: dict[str, Any], number: int) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            dtype = self._state_dtype if parameter.dtype == torch.bfloat16 else parameter.dtype
            state |= {name: torch.zeros_like(parameter, dtype=dtype) for name in _MOMENTS}
        state["step"] += 1
        step, (beta1, beta2) = state["step"], group["betas"]
        weight, gradient, *moments = map(_local, (parameter, parameter.grad, *(state[name] for name in _MOMENTS)))
        average, square = (moment.float() for moment in moments)
        gradient = gradient.float()
        average.lerp_(gradient, 1 - beta1)
        square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        stepped = weight.float() * (1 - group["lr"] * group["weight_decay"])
        stepped.addcdiv_(average, denominator, value=-group["lr"] / (1 - beta1**step))
        draw = self._seeded(weight.device, step, number)
        for kept, value in ((weight, stepped), (moments[0], average), (moments[1], square)):
            if kept.dtype == torch.bfloat16:
                kept.copy_(rounded_at_random(value, draw))
            elif kept.data_ptr() != value.data_ptr():
                kept.copy_(value)

    def _seeded(self, device: torch.device, step: int, number: int) -> torch.Generator:
        """Return the random numbers of a parameter in a step."""
        if device not in self._generators:
            self._generators[device] = torch.Generator(device)
        mixed = hash((self._seed, step, number)) & (2**63 - 1)  # of integers, it is the same in every process
        return self._generators[device].manual_seed(mixed)


def rounded_at_random(values: Tensor, generator: torch.Generator) -> Tensor:
    """Round to one of the two nearest bfloat16, each with the share of the way to it as probability.

    Args:
        values: Any shape, float32.
        generator: Random numbers of the same device.
    """
    noise = torch.randint(2**_LOST_BITS, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    bits = (values.contiguous().view(torch.int32) + noise) >> _LOST_BITS << _LOST_BITS
    return torch.where(values.isfinite(), bits.view(torch.float32), values).to(torch.bfloat16)


def _local(tensor: Tensor) -> Tensor:
    """Return this rank's part of a sharded tensor."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor

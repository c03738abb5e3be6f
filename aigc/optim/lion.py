"""Lion, which steps by the sign of a momentum."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc.config.types import Bound
from aigc.optim.closure import loss_of


class Lion(Optimizer):
    """Evolved sign momentum (Chen et al., 2023, arXiv:2302.06675), with decoupled weight decay.

    Every weight moves by exactly the learning rate. The authors use a rate three to ten times smaller than that of
    AdamW, and a weight decay as many times larger.

    Args:
        params: Parameters or groups of them.
        lr: Learning rate.
        betas: Weights of the momentum in the step, and in the momentum that is kept.
        weight_decay: Share of the weights that is taken off, times the learning rate.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Annotated[float, Bound(0)] = 1e-4,
        betas: tuple[Annotated[float, Bound(0, 1)], Annotated[float, Bound(0, 1)]] = (0.9, 0.99),
        weight_decay: Annotated[float, Bound(0)] = 0.0,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step on the gradients of all parameters that have one; returns the loss of the closure."""
        loss = loss_of(closure)
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._update(parameters, group)
        return loss

    def _update(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum" not in self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        directions = torch._foreach_lerp(momenta, gradients, 1 - beta1)  # type: ignore[arg-type]
        torch._foreach_sign_(directions)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, directions, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - beta2)  # type: ignore[arg-type]

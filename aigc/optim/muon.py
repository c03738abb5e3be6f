"""Muon for matrices, with AdamW for everything that is not one."""

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound
from aigc.optim.closure import loss_of
from aigc.optim.embeddings import is_embedding


class Muon(Optimizer):
    """Momentum orthogonalised by Newton-Schulz (Jordan et al., 2024) for hidden matrices, and AdamW for the rest.

    torch.optim.Muon steps the parameters of two dimensions. AdamW steps biases, normalisations, embeddings and the
    output layer of a language model, and convolutions, which Jordan's own code flattens into matrices and
    torch.optim.Muon does not take. With the default `adjust_lr_fn` both use one learning rate and weight decay, those
    of AdamW (Liu et al., 2025, arXiv:2502.16982).

    Args:
        params: Parameters or groups of them; `aigc.optim.embeddings.mark_embeddings` marks embeddings.
        lr: Learning rate.
        weight_decay: Share of the weights that is taken off, times the learning rate.
        momentum: Momentum of Muon.
        nesterov: Nesterov momentum for Muon.
        ns_steps: Newton-Schulz iterations.
        adjust_lr_fn: How Muon's rate depends on the shape of a matrix: as large a step as AdamW's (match_rms_adamw), or
            that of Jordan (original) or Bernstein (spectral_unclamped), which need another rate.
        betas: Betas of AdamW.
        eps: Epsilon of AdamW.
        fused: Use the fused kernel of AdamW; null lets torch choose.

    Raises:
        ConfigError: Weights are sharded: a matrix must be whole.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: Annotated[float, Bound(0)] = 3e-4,
        weight_decay: Annotated[float, Bound(0)] = 0.1,
        momentum: Annotated[float, Bound(0, 1)] = 0.95,
        nesterov: bool = True,
        ns_steps: Annotated[int, Bound(1, 99)] = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw", "spectral_unclamped"] = "match_rms_adamw",
        betas: tuple[Annotated[float, Bound(0, 1)], Annotated[float, Bound(0, 1)]] = (0.9, 0.95),
        eps: Annotated[float, Bound(0)] = 1e-8,
        fused: bool | None = None,
    ):
        common: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        matrices: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        self._muon = torch.optim.Muon([{"params": []}], **common, **matrices, adjust_lr_fn=adjust_lr_fn)
        self._adamw = torch.optim.AdamW([{"params": []}], **common, betas=(betas[0], betas[1]), eps=eps, fused=fused)
        for inner in (self._muon, self._adamw):
            inner.param_groups.clear()
        super().__init__(params, {**common, "fused": fused})
        self._share_groups()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as two where it holds both matrices and others."""
        matrices, others = _split(param_group)
        for inner, part in ((self._muon, matrices), (self._adamw, others)):
            if part is not None:
                inner.add_param_group(part)
                super().add_param_group(inner.param_groups[-1])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._share_groups()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle holds: torch's own state leaves out the two optimisers."""
        return {**super().__getstate__(), "_muon": self._muon, "_adamw": self._adamw}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what `__getstate__` returned."""
        super().__setstate__(state)
        self._share_groups()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step on the gradients of all parameters that have one; returns the loss of the closure."""
        loss = loss_of(closure)
        for inner in (self._muon, self._adamw):
            inner.step()  # type: ignore[no-untyped-call]
        return loss

    def _share_groups(self) -> None:
        """Let both optimisers use the groups and the state of this one, which schedules and checkpoints know."""
        for inner, has_matrices in ((self._muon, True), (self._adamw, False)):
            inner.state = self.state
            inner.param_groups = [group for group in self.param_groups if ("ns_steps" in group) is has_matrices]


def _split(group: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the matrices of a group and its other parameters, as a group each; None where there are none."""
    params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
    if any(isinstance(_tensor(one), DTensor) for one in params):
        what = "a matrix must be whole for Muon, and trainer.strategy shards it; set trainer.strategy=ddp"
        raise ConfigError([Problem("optimizer._target_", what)])
    matrices = [one for one in params if _tensor(one).ndim == 2 and not is_embedding(_tensor(one))]
    others = [one for one in params if _tensor(one).ndim != 2 or is_embedding(_tensor(one))]
    named = {"name": f"{group['name']}_adamw"} if matrices and "name" in group else {}
    return (
        {**group, "params": matrices} if matrices else None,
        {**group, **named, "params": others} if others else None,
    )


def _tensor(parameter: Any) -> Tensor:
    """Return a parameter that may be given with its name."""
    found: Tensor = parameter[1] if isinstance(parameter, tuple) else parameter
    return found

"""An adapter written as a user would: low-rank updates of linear layers (Hu et al., 2021), in plain torch."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aigc.models.adapters.base import Adapter


class LoRALinear(nn.Module):
    """A frozen linear layer plus a trained product of two thin matrices."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))
        self.scale = alpha / rank

    def forward(self, inputs: Tensor) -> Tensor:
        update = inputs.to(self.down.dtype) @ self.down.T @ self.up.T
        found: Tensor = self.layer(inputs) + (self.scale * update).to(inputs.dtype)
        return found


class LoRA(Adapter):
    """Low-rank updates of the linear layers with some names."""

    def __init__(self, rank: int = 2, alpha: float = 8.0, layers: Sequence[str] = ("q_proj", "v_proj")) -> None:
        self.rank, self.alpha, self.layers = rank, alpha, tuple(layers)

    def apply(self, model: nn.Module) -> None:
        model.requires_grad_(False)
        for name, layer in list(model.named_modules()):
            if name.rpartition(".")[2] in self.layers:
                model.set_submodule(name, LoRALinear(layer, self.rank, self.alpha))

    def merge(self, model: nn.Module) -> None:
        for name, layer in list(model.named_modules()):
            if isinstance(layer, LoRALinear):
                layer.layer.weight.data += layer.scale * (layer.up @ layer.down).to(layer.layer.weight.dtype)
                model.set_submodule(name, layer.layer)

"""Low-rank updates that begin as a part of the frozen weights, which then hold the rest (PiSSA)."""

from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from torch import Tensor, nn

NAMES = ("initial_A", "initial_B")
_ADAPTER = "default"


def keep_initial_factors(model: nn.Module) -> None:
    """Keep the factors that were taken out of the weights of each layer, as buffers that checkpoints hold.

    The weights without them are made again whenever the network is built. Another machine finds factors that differ in
    their last bits, and singular vectors of almost equal values in any rotation. So the factors of the checkpoint are
    taken out in their place when it is loaded.
    """
    for layer in model.modules():
        if isinstance(layer, LoraLayer) and _ADAPTER in layer.lora_A:  # embeddings begin with zeros
            for name, factor in zip(NAMES, _factors(layer), strict=True):
                layer.register_buffer(name, factor.detach().clone())
            layer.aigc_taken = tuple(getattr(layer, name).clone() for name in NAMES)
            layer.register_load_state_dict_post_hook(_take_out_loaded)


def as_difference(model: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of an adapter of twice the rank that computes the same on the weights before.

    Args:
        model: The network.
        weights: Those of the adapter in PEFT's layout.
    """
    found = dict(weights)
    for name, layer in model.named_modules():
        if isinstance(layer, LoraLayer) and hasattr(layer, NAMES[0]):
            first, second = (f"base_model.model.{name}.{part}.weight" for part in ("lora_A", "lora_B"))
            initial_a, initial_b = (getattr(layer, buffer) for buffer in NAMES)
            found[first] = torch.cat([weights[first], initial_a.to(weights[first])], dim=0)
            found[second] = torch.cat([weights[second], -initial_b.to(weights[second])], dim=1)
    return found


def _factors(layer: LoraLayer) -> tuple[Tensor, Tensor]:
    return layer.lora_A[_ADAPTER].weight, layer.lora_B[_ADAPTER].weight


@torch.no_grad()
def _take_out_loaded(layer: Any, keys: Any) -> None:
    """Take the factors that were loaded out of the weights, in place of those that were taken out before."""
    loaded = tuple(getattr(layer, name) for name in NAMES)
    taken = tuple(one.to(other.device) for one, other in zip(layer.aigc_taken, loaded, strict=True))
    if all(map(torch.equal, loaded, taken)):
        return
    change = taken[1].float() @ taken[0].float() - loaded[1].float() @ loaded[0].float()
    weight, scale = layer.get_base_layer().weight, layer.scaling[_ADAPTER]
    change = (change.T if layer.fan_in_fan_out else change) * scale
    weight.copy_((weight.float() + change.to(weight.device)).to(weight.dtype))
    layer.aigc_taken = tuple(one.clone() for one in loaded)

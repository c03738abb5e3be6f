"""Frozen weights in 4 or 8 bits under an adapter, by bitsandbytes; nothing here imports torch at once."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from aigc.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

Quantised = Literal["4bit", "8bit"]
"""What `model.quantised` may be."""

_PACKAGE = "bitsandbytes"


def check_quantised(kind: str) -> None:
    """Check that this machine can hold weights in 4 or 8 bits.

    Raises:
        InputError: A package is missing.
    """
    if find_spec(_PACKAGE) is None:
        raise InputError(
            f"{kind} needs the package {_PACKAGE}, which is not installed: pip install 'aigc[quantised]', or set it to "
            "null for the whole weights"
        )


def loaded_as(kind: str, dtype: str) -> dict[str, Any]:
    """Return what Transformers needs to load weights in 4 bits (NF4; Dettmers et al., 2023) or in 8.

    They are quantised on the CPU, so that their digest is the same whatever device they are used on.

    Args:
        kind: 4bit or 8bit.
        dtype: The type that is computed in.

    Raises:
        InputError: A package is missing, or cannot be used on this machine.
    """
    from transformers import BitsAndBytesConfig

    check_quantised(kind)
    try:
        import bitsandbytes  # noqa: F401
    except Exception as error:  # it looks for its compiled library, and for a device, in many ways
        raise InputError(f"model.quantised: bitsandbytes cannot be used on this machine: {error}") from error
    settings: dict[str, Any] = {"load_in_8bit": True}
    if kind == "4bit":
        settings = {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": True,
            "bnb_4bit_compute_dtype": dtype,
        }
    return {"quantization_config": BitsAndBytesConfig(**settings), "device_map": {"": "cpu"}}


def keep_as_loaded(model: Any) -> None:
    """Let no forward pass change the layout of weights in 4 bits.

    On some CPUs one in evaluation mode packs them for a kernel without a gradient, and later training goes through it.
    """
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False


def quantised_kind(model: Any) -> str | None:
    """Return 4bit or 8bit for a model of Transformers whose weights are, else None."""
    return next((kind for kind in ("4bit", "8bit") if getattr(model, f"is_loaded_in_{kind}", False)), None)


def dequantise(model: Any) -> None:
    """Put plain linear layers with weights in float32 in place of quantised ones; the rest stays as it is."""
    from torch import nn

    for name, layer in list(model.named_modules()):
        weight = _whole_weight(layer)
        if weight is not None:
            plain = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
            plain.weight = nn.Parameter(weight, requires_grad=False)
            plain.bias = layer.bias
            model.set_submodule(name, plain.train(layer.training))
    model.is_loaded_in_4bit = model.is_loaded_in_8bit = model.is_quantized = False
    for name in ("hf_quantizer", "quantization_method"):
        if hasattr(model, name):
            delattr(model, name)
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config


def _whole_weight(layer: "nn.Module") -> "Tensor | None":
    """Return the weight of a quantised layer in float32; None for any other layer."""
    from bitsandbytes.functional import dequantize_4bit, int8_vectorwise_dequant
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    found: Tensor
    if isinstance(layer, Linear4bit):
        found = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
        return found
    if isinstance(layer, Linear8bitLt):
        scales = layer.weight.SCB if layer.weight.SCB is not None else layer.state.SCB
        found = int8_vectorwise_dequant(layer.weight.data, scales).float()
        return found
    return None

"""Attention implementations: those that a network has, and the one that is taken on a device."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from transformers import PreTrainedModel
from transformers.utils import is_flash_attn_2_available, is_flash_attn_3_available

from aigc.config.problems import ConfigError, Problem
from aigc.models.isolation import Boundaries, DenseMask, LayerMasks, isolates
from aigc.runs.console import log

Attention = Literal["auto", "sdpa", "flash_attention_2", "flash_attention_3", "flex", "eager", "flex_attention"]
"""What `model.attention` may be; flex_attention is Transformers' name of flex."""

_KEY = "model.attention"
_PACKAGES = {
    "flash_attention_3": ("flash_attn_interface (flash-attn-3)", is_flash_attn_3_available, (9, 0)),
    "flash_attention_2": ("flash-attn", is_flash_attn_2_available, (8, 0)),
}
"""Flash attention, the faster one first: its package, whether it is installed, and the least capability of a GPU."""
_FLEX_CAPABILITY = (8, 0)
_DROPOUT = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")
"""What configurations call the dropout of attention weights, which flex attention has not."""


def implementation(asked: str) -> str:
    """Return Transformers' name of a value of `model.attention`."""
    return "flex_attention" if asked == "flex" else asked


def loaded_with(asked: str) -> str | None:
    """Return what a network is loaded with: eager attention, or SDPA where there is one (None).

    Kernels that need their device are set by `set_attention`, once it is known.
    """
    return "eager" if asked == "eager" else None


def check_attention(model: PreTrainedModel, asked: str) -> None:
    """Check that a network has an implementation, and that this machine has what it needs.

    Raises:
        ConfigError: It has not.
    """
    name = implementation(asked)
    if name in _PACKAGES and not _PACKAGES[name][1]():
        what = f"{asked} needs the package {_PACKAGES[name][0]}, which is not installed; auto takes what there is"
        raise ConfigError([Problem(_KEY, what)])
    supported = _supported(model)
    if name not in supported:
        what = f"{type(model).__name__} has no {asked} in Transformers; it has {', '.join(supported)}"
        raise ConfigError([Problem(_KEY, what)])
    if name == "flex_attention" and (dropout := _dropout(model)):
        what = f"{asked} has no dropout of attention weights: set model.settings.{dropout}=0.0, or take sdpa"
        raise ConfigError([Problem(_KEY, what)])


def set_attention(model: PreTrainedModel, device: torch.device, precision: str) -> None:
    """Give a network the implementation that `model.attention` asks for, for a device; it is on it later.

    A network that was not made by `aigc.models` stays as it is.

    Args:
        model: The network.
        device: The device that it will be on.
        precision: That of the trainer, such as bf16-mixed.

    Raises:
        ConfigError: Flash attention was asked for, and the device or the precision is not for it.
    """
    asked = getattr(model, "aigc_attention", None)
    if not isinstance(asked, str):
        return
    half = not precision.startswith("32") or model.dtype != torch.float32
    name = _fastest(model, device, half) if asked == "auto" else implementation(asked)
    if name in _PACKAGES:
        _check_flash(asked, device, half)
        if torch.are_deterministic_algorithms_enabled():
            os.environ["FLASH_ATTENTION_DETERMINISTIC"] = "1"  # Transformers reads it at each call
    if name == model.config._attn_implementation:
        return
    model.set_attn_implementation(name)
    if getattr(model, "aigc_isolation", None) is not None:
        if name in _PACKAGES:
            model.aigc_isolation = Boundaries()
        elif isinstance(model.aigc_isolation, DenseMask):
            model.aigc_isolation = LayerMasks()
    log.info("model.attention=%s: %s", asked, name)


@contextmanager
def attention_for_generation(model: PreTrainedModel) -> Iterator[None]:
    """Take SDPA while texts are generated: other kernels are compiled for each length, or compute in 16 bits alone."""
    before = str(model.config._attn_implementation)
    if before in ("sdpa", "eager"):
        yield
        return
    model.set_attn_implementation("sdpa" if model._supports_sdpa else "eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def check_isolation(model: PreTrainedModel) -> None:
    """Check on its device that flash attention keeps documents apart, which could not be tried before.

    Raises:
        ConfigError: The network does not pass on where documents begin.
    """
    isolation = getattr(model, "aigc_isolation", None)
    if isinstance(isolation, Boundaries):
        was_training = model.training
        model.eval()
        try:
            if not isolates(model, isolation):
                what = (
                    f"{type(model).__name__} does not keep packed documents apart with flash attention; set it to sdpa"
                )
                raise ConfigError([Problem(_KEY, what)])
        finally:
            model.train(was_training)


def _fastest(model: PreTrainedModel, device: torch.device, half: bool) -> str:
    """Return the fastest implementation on a device that keeps documents apart; the present one on a CPU."""
    present = str(model.config._attn_implementation)
    if device.type != "cuda" or getattr(model, "aigc_isolation", None) is None:
        return present
    supported, capability = _supported(model), torch.cuda.get_device_capability(device)
    for name, (_, is_installed, least) in _PACKAGES.items():
        chunks = getattr(model.config.get_text_config(), "attention_chunk_size", None)
        if half and name in supported and capability >= least and is_installed() and not chunks:
            return name
    width = _head_width(model)
    fits = width is not None and 16 <= width <= (256 if half else 128)  # what a GPU's shared memory holds
    if "flex_attention" in supported and capability >= _FLEX_CAPABILITY and fits and not _dropout(model):
        return "flex_attention"
    return present


def _check_flash(asked: str, device: torch.device, half: bool) -> None:
    if device.type != "cuda":
        raise ConfigError([Problem(_KEY, f"{asked} needs a GPU, and this run computes on a {device.type}; take auto")])
    if not half:
        what = f"{asked} computes in 16 bits: set trainer.precision=bf16-mixed, or take auto"
        raise ConfigError([Problem(_KEY, what)])


def _supported(model: PreTrainedModel) -> list[str]:
    """Return the implementations that a class of Transformers has, by Transformers' names."""
    names = ["sdpa"] if model._supports_sdpa else []
    names += ["flash_attention_2", "flash_attention_3"] if model._supports_flash_attn else []
    names += ["flex_attention"] if model._supports_flex_attn else []
    return ["auto", *names, "eager"]


def _head_width(model: PreTrainedModel) -> int | None:
    """Return the width of an attention head; None where the configuration does not say it."""
    config = model.config.get_text_config()
    if width := getattr(config, "head_dim", None):
        return int(width)
    hidden, heads = getattr(config, "hidden_size", None), getattr(config, "num_attention_heads", None)
    return hidden // heads if hidden and heads else None


def _dropout(model: PreTrainedModel) -> str | None:
    """Return the setting that drops attention weights in training, if one does."""
    config = model.config.get_text_config()
    return next((name for name in _DROPOUT if getattr(config, name, None)), None)

"""Activations that are computed again in the backward pass."""

from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.models.adapters.base import adapter_of


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Let a network keep the inputs of its layers alone, and compute the rest again.

    Raises:
        ConfigError: The network or its adapter cannot.
    """
    if (adapter := adapter_of(model)) is not None and not adapter.recomputes:
        what = f"{type(adapter).__name__} lies in the cache, which is not there then; set it to false"
        raise ConfigError([Problem("task.activation_checkpointing", what)])
    if not getattr(model, "supports_gradient_checkpointing", False):
        what = f"{type(model).__name__} does not support it in Transformers; set it to false"
        raise ConfigError([Problem("task.activation_checkpointing", what)])
    # Newer versions of Transformers have the first name and warn of the other.
    name = next(name for name in ("activation", "gradient") if hasattr(model, f"{name}_checkpointing_enable"))
    getattr(model, f"{name}_checkpointing_enable")({"use_reentrant": False})

"""The base class of adapters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from torch import nn

from aigc.errors import InputError
from aigc.models.weights import digest_of


class Adapter(ABC):
    """A change of a pretrained network after which only few weights are trained.

    Checkpoints hold the weights that `saved` names, and a digest of the network without the adapter, which is read
    again from `model.path`. A finished run leaves the merged network, which loads without an adapter, or the adapter
    alone where `kept_apart` says so.
    """

    mergeable: ClassVar[bool] = True
    """Whether weights of the base model can compute the same."""
    recomputes: ClassVar[bool] = True
    """Whether activations may be computed again in the backward pass."""
    trains_added_tokens: ClassVar[bool] = False
    """Whether it trains the embeddings of tokens that the pretrained weights do not know, `model.aigc_added_tokens`."""
    kept_apart: bool = False
    """Whether a finished run leaves the adapter alone, which is loaded together with its base model."""
    rates: Mapping[str, float] = MappingProxyType({})
    """Learning rates of some weights relative to that of the others, by patterns of `aigc.optim.groups`."""

    @abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Change a network in place: freeze its weights, and add those that are trained."""

    @abstractmethod
    def merge(self, model: nn.Module) -> None:
        """Undo `apply` in place: the layers of the network as they were, with weights that compute the same."""

    def check(self, model: nn.Module, data: Any) -> None:  # noqa: B027
        """Check that the adapter fits a network and the data, before these are prepared.

        Args:
            model: The network; its weights are on the device `meta`.
            data: The data module.

        Raises:
            ConfigError: It does not.
        """

    def quantised_problem(self, kind: str) -> str | None:
        """Return why it cannot be put on weights in 4 bits (4bit) or 8 (8bit); None where it can."""
        return f"{type(self).__name__} is not for weights in 4 or 8 bits; set it to null, or take adapter=lora"

    def saved(self, model: nn.Module) -> set[str]:
        """Return the names in `model.state_dict()` that checkpoints hold: by default those of the trained weights."""
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write the adapter alone, in a layout that other tools load.

        Raises:
            InputError: There is no such layout for it.
        """
        raise InputError(f"{type(self).__name__} cannot be written apart from its base model; merge it")


def attach(adapter: Adapter, model: nn.Module) -> None:
    """Apply an adapter to a network, which remembers both; trained weights are float32, whatever the others are."""
    digest = digest_of(model)
    adapter.apply(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.aigc_adapter, model.aigc_base_digest = adapter, digest  # type: ignore[assignment]


def adapter_of(model: nn.Module) -> Adapter | None:
    """Return the adapter that was attached to a network, if any."""
    found: Any = getattr(model, "aigc_adapter", None)
    return found if isinstance(found, Adapter) else None


def base_digest_of(model: nn.Module) -> str | None:
    """Return the digest of a network before its adapter was attached; None without an adapter."""
    return None if adapter_of(model) is None else str(model.aigc_base_digest)

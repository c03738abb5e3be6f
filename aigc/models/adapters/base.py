"""The base class of adapters."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn

from aigc.models.weights import digest_of


class Adapter(ABC):
    """A change of a pretrained network after which only few weights are trained.

    Checkpoints hold the weights that `saved` names, and a digest of the network without the adapter, which is read
    again from `model.path`. A finished run leaves the merged network, which loads without an adapter.
    """

    @abstractmethod
    def apply(self, model: nn.Module) -> None:
        """Change a network in place: freeze its weights, and add those that are trained."""

    @abstractmethod
    def merge(self, model: nn.Module) -> None:
        """Undo `apply` in place: the layers of the network as they were, with weights that compute the same."""

    def saved(self, model: nn.Module) -> set[str]:
        """Return the names in `model.state_dict()` that checkpoints hold: by default those of the trained weights."""
        return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


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

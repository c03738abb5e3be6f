"""The base class of adapters."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn


class Adapter(ABC):
    """A change of a pretrained network after which only few weights are trained.

    Checkpoints hold the weights that `saved` names, and the frozen ones are read again from `model.path`. A finished
    run leaves the merged network, which loads without an adapter.
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
    """Apply an adapter to a network, which remembers it; trained weights are float32, whatever the others are."""
    adapter.apply(model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    model.aigc_adapter = adapter  # type: ignore[assignment]


def adapter_of(model: nn.Module) -> Adapter | None:
    """Return the adapter that was attached to a network, if any."""
    found: Any = getattr(model, "aigc_adapter", None)
    return found if isinstance(found, Adapter) else None

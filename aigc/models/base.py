"""What stands under `model:` in a config."""

from abc import ABC, abstractmethod
from typing import Any

from torch import nn


class ModelFactory(ABC):
    """Describes a network and makes it once the data is known: vocabulary, context length, image size."""

    @abstractmethod
    def create(self, data: Any) -> nn.Module:
        """The network for this data module, which has been prepared."""

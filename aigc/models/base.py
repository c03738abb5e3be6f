"""The base class of `model:` in a config."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aigc.errors import InputError

if TYPE_CHECKING:
    from torch import nn


class ModelFactory(ABC):
    """A description of a network, which is created once the data is known: vocabulary, context length, image size."""

    makes = ""
    """What the network is, such as a language model; empty where that is not said. `aigc.config.fit` compares."""

    @abstractmethod
    def create(self, data: Any) -> "nn.Module":
        """Create the network for a data module, which has been prepared."""

    @property
    def folder(self) -> Path | None:
        """The folder that the weights are read from; None where they are random, or come from elsewhere."""
        return None

    def check_data(self, data: Any) -> None:  # noqa: B027
        """Check that pretrained weights are there and that the network can take the data, before these are prepared.

        Args:
            data: The data module, which has not been prepared.

        Raises:
            InputError: They are not, or it cannot.
        """

    def from_folder(self, folder: Path) -> Self:
        """Return a factory of the same kind whose weights come from a run's model/.

        Raises:
            InputError: This kind has none.
        """
        raise InputError(f"model: {type(self).__name__} cannot be made from the files in {folder}")

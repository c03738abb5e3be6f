"""What a kind of model whose images can be measured is besides."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aigc.inference.parts.image_sets import RunImages


class ImageMaker(ABC):
    """A second base class of a `SavedModel`: `aigc score-images` measures what it makes."""

    @abstractmethod
    def images(self, samples: int, seed: int) -> "RunImages":
        """Open the model as a source of images.

        Args:
            samples: How many are made.
            seed: Seed of these.

        Raises:
            InputError: It makes no images, or there is no usable checkpoint.
        """

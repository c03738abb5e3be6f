"""Data sets of the Hugging Face Hub."""

from pathlib import Path

from aigc.data.images.base import Images
from aigc.data.images.formats.base import ImageFormat, OpenSettings


class HubSets(ImageFormat):
    """A data set of the Hub by its name."""

    prefix = "hub:"
    shown = f"{prefix}NAME"

    def open(self, where: str, path: Path, settings: OpenSettings) -> Images:
        """Open the training split."""
        from aigc.data.images.hub import open_hub_images

        return open_hub_images(where, where.removeprefix(self.prefix), settings.alpha)


FORMAT = HubSets()

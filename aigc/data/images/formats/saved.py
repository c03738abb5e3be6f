"""Folders saved by the `datasets` library."""

from pathlib import Path

from aigc.data.images.base import Images
from aigc.data.images.formats.base import ImageFormat, OpenSettings


class SavedSets(ImageFormat):
    """A folder written by `save_to_disk`."""

    shown = "a folder saved by datasets"

    def accepts(self, where: str, path: Path) -> bool:
        """Whether a folder has the files that `save_to_disk` writes."""
        return is_saved(path)

    def open(self, where: str, path: Path, settings: OpenSettings) -> Images:
        """Open the training split."""
        from aigc.data.images.hub import open_saved_images

        return open_saved_images(where, path, settings.alpha)


def is_saved(folder: Path) -> bool:
    """Whether `datasets` saved a folder."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


FORMAT = SavedSets()

"""A model in a folder of its own, as `aigc export` writes it, in place of a run."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.runs import Run
from aigc.runs.manifest import MANIFEST_FILE

if TYPE_CHECKING:
    from omegaconf import DictConfig


class ModelFolder(Run):
    """The model in a folder, of which nothing else is known.

    Args:
        path: The folder.
    """

    @property
    def model(self) -> Path:
        """The folder itself."""
        return self.path

    @cached_property
    def config(self) -> "DictConfig":
        """An empty config."""
        from omegaconf import OmegaConf

        return OmegaConf.create()

    @classmethod
    def at(cls, name: str) -> "ModelFolder | None":
        """Return the model that a path names; None where there is none, or a run."""
        path = Path(name).expanduser()
        is_model = (path / "config.json").is_file() and not (path / MANIFEST_FILE).exists()
        return cls(path.absolute()) if is_model else None

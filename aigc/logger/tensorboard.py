"""TensorBoard, in the run folder's tensorboard/."""

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from aigc.runs import Run


class TensorBoard(TensorBoardLogger):
    """Event files for `tensorboard --logdir outputs/runs`.

    Args:
        run: The run whose folder is written to.
        flush_secs: Seconds between writes to disk.
    """

    def __init__(self, run: Run, flush_secs: int = 30):
        super().__init__(save_dir=run.path, name="tensorboard", version="", flush_secs=flush_secs)

    def resume_from_step(self, step: int) -> None:
        """Make TensorBoard drop what an earlier attempt has logged after this step."""
        self._kwargs["purge_step"] = step + 1

    @rank_zero_only
    def log_image(self, name: str, image: Tensor, step: int) -> None:
        """Show an image, uint8 of shape (channels, height, width), under this step."""
        self.experiment.add_image(name, image.cpu(), step)

"""TensorBoard, in the run folder's tensorboard/."""

from collections.abc import Iterator, Mapping
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from aigc.config.monitor import checkpoint_monitor
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
    def log_hyperparams(self, params: Any, metrics: Any = None, step: int | None = None) -> None:
        """Write a config to hparams.yaml, and as a row of the table of runs, with the value that chooses the best."""
        from torch.utils.tensorboard.summary import hparams

        self.hparams.update(params)
        if self._kwargs.get("purge_step", 0) > 1:
            return  # an earlier attempt has written the row
        followed = checkpoint_monitor(params)
        values = {name: value if isinstance(value, int | float) else str(value) for name, value in _leaves(params)}
        writer = self.experiment._get_file_writer()
        summaries = hparams(values, {followed[0]: 0.0} if followed else {})  # type: ignore[no-untyped-call]
        for summary in summaries:
            writer.add_summary(summary)

    @rank_zero_only
    def log_image(self, name: str, image: Tensor, step: int) -> None:
        """Show an image, uint8 of shape (channels, height, width), under this step."""
        self.experiment.add_image(name, image.cpu(), step)


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the full key and the value of each leaf of a plain config."""
    for name, value in node.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value

"""Loggers: metrics.jsonl always, others when chosen; all of them write inside the run folder."""

from collections.abc import Sequence

from pytorch_lightning.loggers.logger import Logger

from aigc.logger.images import image_file, log_image
from aigc.logger.jsonl import MetricsFileLogger, metrics_files
from aigc.logger.lightning import resume_from_rows
from aigc.logger.tensorboard import TensorBoard
from aigc.logger.wandb import WandB

__all__ = ["MetricsFileLogger", "TensorBoard", "WandB", "image_file", "log_image", "metrics_files", "rewind"]


def rewind(loggers: Sequence[Logger], metrics_bytes: int, last_row: str = "") -> None:
    """Truncate the logs to the state of a checkpoint, so that metrics continue without gaps or repeated rows.

    A logger of your own takes part if it has `resume_from_rows(rows)`, which gets all rows so far with their step, or
    `resume_from_step(step)`, which is called before it logs anything.

    Args:
        loggers: The run's loggers.
        metrics_bytes: The length of metrics.jsonl in that state, without its last row.
        last_row: The last row in that state; checkpoints of earlier versions do not have it separately.
    """
    for logger in metrics_files(loggers):
        rows = logger.resume(metrics_bytes, last_row)
        for other in loggers:
            resume_from_rows(other, rows)

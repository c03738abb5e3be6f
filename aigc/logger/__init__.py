"""Where metrics go: metrics.jsonl always, TensorBoard or W&B when chosen; all of them inside the run folder."""

from aigc.logger.jsonl import MetricsFileLogger
from aigc.logger.tensorboard import TensorBoard
from aigc.logger.wandb import WandB

__all__ = ["MetricsFileLogger", "TensorBoard", "WandB"]

"""Weights & Biases, in the run folder's wandb/."""

from collections.abc import Mapping
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger

from aigc.runs import Run


class WandB(WandbLogger):
    """A W&B run whose id is the run's id; offline unless asked otherwise, to be sent later with `wandb sync`.

    Args:
        run: The run whose folder is written to.
        project: W&B project.
        entity: W&B team or user; null takes the account's own.
        mode: Keep the run on disk (offline) or send it while it runs (online, needs WANDB_API_KEY).
        tags: Words to find the run by.
    """

    def __init__(
        self,
        run: Run,
        project: str = "aigc",
        entity: str | None = None,
        mode: Literal["offline", "online"] = "offline",
        tags: list[str] | None = None,
    ):
        import wandb

        # Command line and code differences would be kept unredacted by W&B itself; the manifest has them.
        settings = wandb.Settings(x_disable_meta=True, save_code=False, console="off", silent=True)
        options: dict[str, Any] = {"entity": entity, "tags": tags, "settings": settings, "mode": mode}
        self._to_skip = 0
        super().__init__(name=run.id, id=run.id, save_dir=str(run.path), project=project, resume="allow", **options)

    def skip(self, rows: int) -> None:
        """Leave out so many rows from now on: W&B has them from an attempt before, and they come out the same again."""
        self._to_skip = rows

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send one row."""
        if self._to_skip:
            self._to_skip -= 1
            return
        super().log_metrics(metrics, step)

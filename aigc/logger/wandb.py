"""Weights & Biases, in the run folder's wandb/."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from aigc.runs import Run
from aigc.runs.metrics_file import FIXED_COLUMNS


class WandB(WandbLogger):
    """A W&B run whose id is the run's id; offline unless asked otherwise, to be sent later with `wandb sync`.

    An offline run that was resumed has a folder for each attempt; the newest holds all rows.

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
        self._rows = 0
        super().__init__(name=run.id, id=run.id, save_dir=str(run.path), project=project, resume="allow", **options)

    def go_on_from(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Send again what was logged before, unless W&B has it: a killed run's last rows may not have reached it.

        Args:
            rows: All rows of metrics.jsonl so far, with their step.
        """
        for row in rows:
            values = {name: value for name, value in row.items() if name not in FIXED_COLUMNS}
            self.log_metrics(values, int(row["step"]))

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Send one row under its number, by which W&B knows rows that it has already from an attempt before."""
        number, self._rows = self._rows, self._rows + 1
        if number >= self.experiment.step:
            self.experiment.log({**metrics, "trainer/global_step": step}, step=number)

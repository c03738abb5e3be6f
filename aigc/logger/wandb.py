"""Weights & Biases, in the run folder's wandb/."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from aigc.logger.images import images_of_step
from aigc.runs import Run
from aigc.runs.metrics_file import FIXED_COLUMNS


class WandB(WandbLogger):
    """A W&B run whose id is the run's id; offline unless asked otherwise, to be sent later with `wandb sync`.

    An offline run that was resumed has a folder for each attempt; the newest holds all rows.

    Args:
        run: The run whose folder is written to.
        project: W&B project.
        entity: W&B team or user; null uses the account's default.
        mode: Keep the run on disk (offline) or send it while it runs (online, needs WANDB_API_KEY).
        tags: Tags of the run.
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

        # W&B would store command line and code differences unredacted; the manifest has them.
        settings = wandb.Settings(x_disable_meta=True, save_code=False, console="off", silent=True)
        options: dict[str, Any] = {"entity": entity, "tags": tags, "settings": settings, "mode": mode}
        self._rows = 0
        self._step: int | None = None
        self._samples = run.samples
        super().__init__(name=run.id, id=run.id, save_dir=str(run.path), project=project, resume="allow", **options)
        self._wandb_init.pop("anonymous", None)  # Lightning passes None, of which W&B warns that it has no effect

    def resume_from_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Send earlier rows again, unless W&B has them: the last rows of a killed run may not have reached it.

        Images are read from samples/, and are sent with the first row of their step that has validation values.

        Args:
            rows: All lines of metrics.jsonl so far, with their step.
        """
        shown = set()
        for row in rows:
            values = {name: value for name, value in row.items() if name not in FIXED_COLUMNS}
            step = int(row["step"])
            self._begin_row(step)
            self._send(self._rows - 1, {**values, "trainer/global_step": step})
            if step not in shown and any(name.startswith("val/") for name in values):
                shown.add(step)
                self._show_again(step)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add values to the row of their step.

        Rows are sent with their numbers, by which W&B recognises rows of an earlier attempt.
        """
        if step is None or step != self._step:
            self._begin_row(step)
        self._rows = max(self._rows, self.experiment.step + 1)  # an earlier attempt has closed the row of this step
        self._send(self._rows - 1, {**metrics, "trainer/global_step": step})

    def _begin_row(self, step: int | None) -> None:
        self._rows, self._step = self._rows + 1, step

    @rank_zero_only
    def log_image(self, name: str, image: Tensor, step: int) -> None:
        """Send an image, uint8 of shape (channels, height, width), with the last logged row.

        A separate row would shift the numbers of later rows, which a resumed run counts from metrics.jsonl, without
        images.
        """
        array = image.permute(1, 2, 0).cpu().numpy()
        self._send_image(name, Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array))

    def _show_again(self, step: int) -> None:
        for name, path in images_of_step(self._samples, step).items():
            with Image.open(path) as image:
                self._send_image(name, image)

    @rank_zero_only
    def _send_image(self, name: str, image: Image.Image) -> None:
        import wandb

        self._send(max(self._rows - 1, 0), {name: wandb.Image(image)})

    def _send(self, number: int, values: Mapping[str, Any]) -> None:
        if number >= self.experiment.step:
            self.experiment.log(dict(values), step=number)

"""The run's own record: metrics.jsonl."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from aigc.runs import Run, metrics_file
from aigc.runs.files import retrying
from aigc.runs.metrics_file import MetricsFile


class MetricsFileLogger(Logger):
    """Write one line per logged step to the run folder's metrics.jsonl.

    Args:
        run: The run whose folder is written to.
    """

    def __init__(self, run: Run):
        super().__init__()
        self._run = run
        self.path = run.path / "metrics.jsonl"
        self._file: MetricsFile | None = None
        self.epoch = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return "metrics.jsonl"

    @property
    def version(self) -> str:
        """The run's id."""
        return self._run.id

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml holds them."""

    def log_metrics(
        self, metrics: dict[str, float], step: int | None = None, signatures: Mapping[str, str] | None = None
    ) -> None:
        """Add values to the row of their step; `signatures` say how values were made, by their names."""
        if self._file is None:  # Lightning finalizes after fit, and a validation may follow
            self._file = MetricsFile(self.path)
        file = self._file
        retrying(lambda: file.append(step or 0, self.epoch, metrics, signatures), f"write to {self.path}")

    def flush(self) -> tuple[int, str]:
        """Flush what was logged to disk; return the length in bytes without the last row, and that row.

        The row of a step may get more values later, so a checkpoint keeps it as it is now.
        """
        if self._file is None:
            self._file = MetricsFile(self.path)
        return self._file.flush()

    def cut(self, size: int, last: str = "") -> None:
        """Go back to what `flush` returned."""
        self.finalize("cut")
        metrics_file.cut(self.path, size, last)

    def finalize(self, status: str) -> None:
        """Flush to disk."""
        if self._file is not None:
            self._file.close()
            self._file = None

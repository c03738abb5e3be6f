"""The run's own record: metrics.jsonl."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from aigc.runs import Run, metrics_file
from aigc.runs.files import retrying
from aigc.runs.metrics_file import MetricsFile


class MetricsFileLogger(Logger):
    """Writes one line per logged step to the run folder's metrics.jsonl.

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
        """Append one line; `signatures` say how values were made, by their names."""
        if self._file is None:  # Lightning finalizes after fit, and a validation may follow
            self._file = MetricsFile(self.path)
        file = self._file
        retrying(lambda: file.append(step or 0, self.epoch, metrics, signatures), f"write to {self.path}")

    def flush(self) -> int:
        """Force what was logged to disk; return the length of the file in bytes."""
        if self._file is None:
            return self.path.stat().st_size if self.path.exists() else 0
        return self._file.flush()

    def cut(self, size: int) -> None:
        """Take off what was logged after the file had this many bytes."""
        self.finalize("cut")
        metrics_file.cut(self.path, size)

    def finalize(self, status: str) -> None:
        """Flush to disk."""
        if self._file is not None:
            self._file.close()
            self._file = None

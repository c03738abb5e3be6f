"""The run's own record: metrics.jsonl."""

from collections.abc import Mapping, Sequence
from typing import Any

from pytorch_lightning.loggers.logger import Logger

from aigc.runs import Run
from aigc.runs.files import retrying
from aigc.runs.metrics_file import parse, read_lines
from aigc.runs.metrics_writer import MetricsFile


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
        file = self._opened()
        retrying(lambda: file.append(step or 0, self.epoch, metrics, signatures), f"write to {self.path}")

    def end_row(self) -> None:
        """Write the row of the step that has ended, so that others can read it."""
        if self._file is not None:
            retrying(self._file.end_row, f"write to {self.path}")

    def flush(self) -> tuple[int, str]:
        """Flush what was written to disk; return the length in bytes without the row of the last step, and that row.

        The row of a step may get more values later, so a checkpoint keeps it as it is now.
        """
        return self._opened().flush()

    def resume(self, size: int, row: str = "") -> list[dict[str, Any]]:
        """Go back to what `flush` returned.

        Returns:
            All lines logged until then, as `read_lines` returns them.
        """
        self._opened().resume(size, row)
        return [*read_lines(self.path), *([parse(self.path, 0, row)] if row else [])]

    def finalize(self, status: str) -> None:
        """Write the row of the last step and flush to disk."""
        if self._file is not None:
            retrying(self._file.end_row, f"write to {self.path}")
            self._file.close()
            self._file = None

    def _opened(self) -> MetricsFile:
        if self._file is None:  # Lightning finalizes after fit, and a validation may follow
            self._file = MetricsFile(self.path)
        return self._file


def metrics_files(loggers: Sequence[Logger]) -> list[MetricsFileLogger]:
    """Return those of the loggers that write metrics.jsonl: one on the first rank, none on others."""
    return [logger for logger in loggers if isinstance(logger, MetricsFileLogger)]

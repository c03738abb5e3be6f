"""The prepared run that a launch passes on within one process: a checked, resolved config and opened data."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from aigc.runs import Run


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to train in this process.

    Other processes, such as ranks and jobs, read the frozen config from the run folder and open the data themselves.

    Args:
        run: The run.
        is_new: Whether this launch made its folder.
        cfg: The config of the next attempt; None reads it from the run folder.
        data: The opened data of this config; None opens them.
    """

    run: Run
    is_new: bool = False
    cfg: DictConfig | None = None
    data: Any = None

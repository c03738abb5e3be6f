"""What a launch hands on within one process: a config that is checked and settled, and data that are open."""

from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from aigc.runs import Run


@dataclass(frozen=True)
class PreparedRun:
    """A run that can be worked on at once.

    Between processes its folder is the border: ranks and jobs read the frozen config, and open the data themselves.

    Args:
        run: The run.
        is_new: Whether its folder was made now.
        cfg: The config of the attempt that comes next; None where the run folder has to say.
        data: The opened data of this config, likewise.
    """

    run: Run
    is_new: bool = False
    cfg: DictConfig | None = None
    data: Any = None

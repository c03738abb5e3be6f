"""Training a run on this machine: in this process for one device, in processes of their own for several."""

from collections.abc import Sequence

from aigc.launch.worker import work
from aigc.runs import Run


def run_here(run: Run, overrides: Sequence[str] = ()) -> None:
    """Train a run to its end, from its newest checkpoint or from the start.

    Args:
        run: The run.
        overrides: What differs from its config in this attempt and those after it; checked by the caller.

    Raises:
        AigcError: The run was stopped or failed; status.json and the manifest say how.
    """
    work(run, overrides)

"""Train a run on this machine: in this process for one device, in one process for each of several devices."""

import os
from collections.abc import Sequence

from aigc.errors import InputError
from aigc.launch.attempt import attempt_config
from aigc.launch.devices import check_cores, check_devices, settle_devices
from aigc.launch.prepared_run import PreparedRun
from aigc.launch.ranks.supervisor import run_ranks
from aigc.launch.worker import work


def run_local(prepared: PreparedRun, overrides: Sequence[str] = ()) -> None:
    """Train a run to its end, from its newest checkpoint or from the start.

    Args:
        prepared: The run, with its config and data where this process has them.
        overrides: Checked overrides of its config for this attempt and later ones.

    Raises:
        InputError: Machines or devices are missing, or this process is itself one of several ranks.
        AigcError: The run was stopped or failed; status.json and the manifest say how.
    """
    run = prepared.run
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "WORLD_SIZE is set, so this was started once for each rank. Start it once, and it starts the ranks; or "
            f"start `python -m aigc.launch.worker {run.path}` for each rank"
        )
    cfg = prepared.cfg or attempt_config(run, overrides)
    settle_devices(cfg)
    check_devices(cfg)
    check_cores(cfg)
    settings = cfg.trainer
    if settings.nodes > 1:
        raise InputError(f"trainer.nodes={settings.nodes}: this is one machine; submit to a cluster with `aigc submit`")
    if settings.devices == 1:
        work(prepared, overrides)
    else:
        run_ranks(run, settings.devices, overrides)

"""The environment variables that SLURM sets in the processes of a job."""

from collections.abc import Mapping

from aigc.errors import InputError
from aigc.launch.clusters.base import CurrentJob
from aigc.launch.ranks.group import read_number
from aigc.printing import plural

VARIABLES = (
    *("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_JOB_NODELIST", "SLURM_NNODES", "SLURM_NTASKS", "SLURM_PROCID"),
    *("SLURM_CPUS_PER_TASK", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT"),
)
"""Those that the manifest records."""


def current_job(environ: Mapping[str, str]) -> CurrentJob | None:
    """Return the job that a process belongs to; None outside of a job."""
    job = environ.get("SLURM_JOB_ID")
    if job is None:
        return None
    launch = f"{job}-{environ.get('SLURM_RESTART_COUNT', '0')}"
    task = environ.get("SLURM_ARRAY_TASK_ID", "")
    if not task.isdigit():
        return CurrentJob(job, launch)
    return CurrentJob(f"{environ.get('SLURM_ARRAY_JOB_ID')}_{task}", launch, int(task))


def rank_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of torchrun for a task of srun; empty for any other process."""
    if "SLURM_PROCID" not in environ:
        return {}
    tasks, nodes = (read_number(environ, name) for name in ("SLURM_NTASKS", "SLURM_NNODES"))
    if tasks % nodes:
        raise InputError(
            f"SLURM has {plural(tasks, 'task')} on {plural(nodes, 'node')}; each node needs the same number: "
            "--ntasks-per-node"
        )
    return {
        "RANK": environ["SLURM_PROCID"],
        "WORLD_SIZE": str(tasks),
        "LOCAL_RANK": str(read_number(environ, "SLURM_LOCALID")),
        "LOCAL_WORLD_SIZE": str(tasks // nodes),
    }

"""The batch script: options of sbatch, the rendezvous of the ranks, one srun, and requeueing."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc.errors import InputError
from aigc.files.secrets import redact
from aigc.launch.clusters.base import JobPlan


@dataclass(frozen=True)
class ScriptSettings:
    """Settings of a batch script besides the options of sbatch.

    Args:
        setup: Shell commands before the ranks start.
        cpus: Cores of each rank; None leaves them to the partition.
        ranks: Number of ranks on all nodes.
        max_requeues: How many times the job may return to the queue.
    """

    setup: Sequence[str]
    cpus: int | None
    ranks: int
    max_requeues: int


def batch_script(options: Mapping[str, Any], plan: JobPlan, settings: ScriptSettings) -> str:
    """Return the text of a batch script.

    The environment is not written into it, as sbatch passes it on to the job.

    Args:
        options: Options of sbatch by their long names; True for one without a value.
        plan: What the job runs.
        settings: Settings besides the options.

    Raises:
        InputError: The settings hold a secret, or a value has more than one line.
    """
    lines = [*_options(options), "", *_environment(plan, settings), "", *_ranks(plan, settings), "code=$?"]
    lines += [*_preempted(plan), *_after(plan), *_requeue(settings, plan), 'exit "$code"']
    for line in lines:
        if redact(line) != line:
            raise InputError(f"the batch script would hold a secret: {redact(line)}; leave it in the environment")
    return "#!/bin/bash\n" + "\n".join(lines) + "\n"


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if value is None or value is False:
            continue
        text = f"--{name}" if value is True else f"--{name}={_quoted(str(value))}"
        if "\n" in text:
            raise InputError(f"cluster.sbatch.{name}: a value must have one line")
        yield f"#SBATCH {text}"


def _quoted(text: str) -> str:
    return text if text == shlex.quote(text) else f'"{text}"' if '"' not in text else shlex.quote(text)


def _environment(plan: JobPlan, settings: ScriptSettings) -> Iterator[str]:
    yield from settings.setup
    yield "unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE # srun sets the rank"
    yield 'export MASTER_ADDR="$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"'
    yield 'export MASTER_PORT="$((15000 + (SLURM_JOB_ID + 7919 * ${SLURM_RESTART_COUNT:-0}) % 15000))"'
    yield 'export OMP_NUM_THREADS="${OMP_NUM_THREADS:-${SLURM_CPUS_PER_TASK:-1}}"'
    if plan.python_path:
        folders = ":".join(shlex.quote(str(folder)) for folder in plan.python_path)
        yield f'export PYTHONPATH={folders}"${{PYTHONPATH:+:$PYTHONPATH}}" # the code as it was when this was submitted'
    yield "export PYTHONSAFEPATH=1 # the working directory comes last"


def _ranks(plan: JobPlan, settings: ScriptSettings) -> Iterator[str]:
    options = ["--kill-on-bad-exit=1"]
    options += [f"--cpus-per-task={settings.cpus}"] if settings.cpus else []  # which srun no longer takes from the job
    options += ["--label"] if settings.ranks > 1 else []
    # No wrapper: where processes are tracked by cgroups, a signal reaches the task itself and none of its children.
    yield f"srun {' '.join(options)} \\"
    yield f"  {shlex.join(plan.command)}"


def _preempted(plan: JobPlan) -> Iterator[str]:
    if plan.status is not None:
        check = f"""grep -q '"status": "preempted"' {shlex.quote(str(plan.status))}"""
        yield f'case "$code" in 137 | 143) {check} && code=75 ;; esac # a rank was killed after the run had been saved'


def _after(plan: JobPlan) -> Iterator[str]:
    if plan.after:
        yield 'case "$code" in'
        yield "  0 | 75 | 130) ;;"
        yield f'  *) {shlex.join(plan.after)} "$code" ;; # records the exit of ranks that left no note'
        yield "esac"


def _requeue(settings: ScriptSettings, plan: JobPlan) -> Iterator[str]:
    if settings.max_requeues == 0:
        return
    # The last task of an array has the array's id as its own, which would mean all tasks.
    job = "$SLURM_JOB_ID" if plan.array is None else "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    yield "# 75: stopped on request, and saved. A job that SLURM has requeued or that was cancelled no longer runs."
    yield f'if [ "$code" -eq 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {settings.max_requeues} ] &&'
    yield f'  [ "$(squeue --noheader --jobs="{job}" --format=%T)" = RUNNING ]; then'
    yield f'  scontrol requeue "{job}"'
    yield "fi"

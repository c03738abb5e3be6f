"""The batch script: sbatch's options, where the ranks meet, one srun, and going back to the queue."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aigc.errors import InputError
from aigc.launch.clusters.base import JobPlan
from aigc.runs.secrets import redact


@dataclass(frozen=True)
class ScriptSettings:
    """What a batch script does besides the options of sbatch.

    Args:
        setup: Lines of the shell that come before the ranks.
        cpus: Cores of each rank; None leaves them to the partition.
        ranks: How many there are on all nodes.
        max_requeues: How often the job goes back to the queue.
    """

    setup: Sequence[str]
    cpus: int | None
    ranks: int
    max_requeues: int


def batch_script(options: Mapping[str, Any], plan: JobPlan, settings: ScriptSettings) -> str:
    """The text of a batch script.

    Nothing of the environment is written into it: sbatch itself hands the environment on to the job.

    Args:
        options: Those of sbatch by their long names; True for one without a value.
        plan: What it shall do.
        settings: What it does besides.

    Raises:
        InputError: A secret stands in the settings, or a value has more than one line.
    """
    lines = [*_options(options), "", *_environment(plan, settings), "", *_ranks(plan, settings), "code=$?"]
    lines += [*_word(plan), *_after(plan), *_requeue(settings, plan), 'exit "$code"']
    for line in lines:
        if redact(line) != line:
            raise InputError(f"a secret would stand in the batch script: {redact(line)}; leave it in the environment")
    return "#!/bin/bash\n" + "\n".join(lines) + "\n"


def _options(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if value is None or value is False:
            continue
        text = f"--{name}" if value is True else f"--{name}={_quoted(str(value))}"
        if "\n" in text:
            raise InputError(f"cluster.sbatch.{name}: a value of sbatch has one line")
        yield f"#SBATCH {text}"


def _quoted(text: str) -> str:
    return text if text == shlex.quote(text) else f'"{text}"' if '"' not in text else shlex.quote(text)


def _environment(plan: JobPlan, settings: ScriptSettings) -> Iterator[str]:
    yield from settings.setup
    yield "unset RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE # srun says which rank a process is"
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
    # Nothing in between: where processes are tracked by cgroups, a signal reaches the task itself and no child of it.
    yield f"srun {' '.join(options)} \\"
    yield f"  {shlex.join(plan.command)}"


def _word(plan: JobPlan) -> Iterator[str]:
    if plan.status is not None:
        said = f"""grep -q '"status": "preempted"' {shlex.quote(str(plan.status))}"""
        yield f'case "$code" in 137 | 143) {said} && code=75 ;; esac # a rank was killed after the run had been saved'


def _after(plan: JobPlan) -> Iterator[str]:
    if plan.after:
        yield 'case "$code" in'
        yield "  0 | 75 | 130) ;;"
        yield f'  *) {shlex.join(plan.after)} "$code" ;; # writes down the end of ranks that had no word'
        yield "esac"


def _requeue(settings: ScriptSettings, plan: JobPlan) -> Iterator[str]:
    if settings.max_requeues == 0:
        return
    # The last task of an array has the id of the array for its own, which stands for all of them.
    job = "$SLURM_JOB_ID" if plan.array is None else "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
    yield "# 75: told to end, and saved. A job that SLURM itself has put back, or that was cancelled, no longer runs."
    yield f'if [ "$code" -eq 75 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {settings.max_requeues} ] &&'
    yield f'  [ "$(squeue --noheader --jobs="{job}" --format=%T)" = RUNNING ]; then'
    yield f'  scontrol requeue "{job}"'
    yield "fi"

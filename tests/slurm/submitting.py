"""Small runs that are submitted to a SLURM of the tests."""

import json
from pathlib import Path
from typing import Any

from aigc.runs import Run
from tests.conftest import REPOSITORY
from tests.launch.forking import Child
from tests.launch.tiny_runs import LANGUAGE_MODEL, place_at, reached, start, the_run
from tests.slurm.one_node import OneNode
from tests.waiting import wait_until

STEPS = 12
TINY = [
    *LANGUAGE_MODEL,
    "evaluation=null",
    "trainer.precision=32-true",
    "trainer.accelerator=cpu",
    "trainer.num_threads=1",
    "trainer.log_every_n_steps=1",
    f"trainer.max_steps={STEPS}",
    "trainer.validate_every_n_steps=6",
    "callbacks.checkpoints.every_n_steps=4",
    "logger=none",
]
CPU = ["cluster.gpus=0", "cluster.tasks=1"]
SLOW = ["+callbacks.slow._target_=tests.launch.rank_faults.Slow", "--trust=tests"]
TWO = ["cluster.gpus=0", "cluster.tasks=2", "data.batch_size=2"]
SECRET = "hf_" + "a1B2" * 8


def aigc(slurm: OneNode, place: Path, *arguments: str, **env: str) -> Child:
    """A command at a place; what it submits finds the tests' own classes, too."""
    own = {"SLURM_CONF": str(slurm.conf), "PATH": slurm.env["PATH"], "PYTHONPATH": str(REPOSITORY)} | env
    return start(place, list(arguments), cache=str(place.parent / "cache"), **own)


def told(slurm: OneNode, place: Path, *arguments: str, **env: str) -> str:
    child = aigc(slurm, place, *arguments, **env)
    assert child.wait() == 0, child.output
    return child.output


def submitted(slurm: OneNode, place: Path, *arguments: str, **env: str) -> tuple[Run, str]:
    output = told(slurm, place_at(place), "submit", *TINY, *arguments, "--json", **env)
    return the_run(place), json.loads(output.splitlines()[-1])["job"]


def listed(slurm: OneNode, place: Path) -> dict[str, Any]:
    return json.loads(told(slurm, place, "ls", "--json").splitlines()[-1])


def ended(slurm: OneNode, run: Run, job: str, status: str = "finished") -> None:
    gone = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "")
    wait_until(lambda: slurm.state(job) in gone, lambda: log(run) + slurm.output(), pause=0.2)
    assert run.status == status, log(run)


def under_way(run: Run, step: int = 2) -> None:
    wait_until(lambda: reached(run) >= step or run.status in ("finished", "failed"), lambda: log(run), pause=0.05)
    assert reached(run) >= step, log(run)


def log(run: Run) -> str:
    path = run.path / "job.log"
    return path.read_text("utf-8") if path.exists() else "no job.log"

"""A sweep as a job array on a real SLURM: every trial runs to its end once, also when a task is asked to stop."""

import json
from pathlib import Path

import pytest

from aigc.launch.sweeps.folder import SweepFolder
from aigc.runs import Run
from aigc.runs.status import Status
from tests.launch.test_sweeps import logged
from tests.launch.tiny_runs import place_at
from tests.slurm.one_node import OneNode
from tests.slurm.submitting import CPU, SLOW, STEPS, TINY, aigc, told
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def test_six_trials_run_over_two_slots_and_tasks_that_are_told_to_end_go_on(slurm: OneNode, folder: Path) -> None:
    place = place_at(folder / "array")
    sweep = [*TINY, *CPU, *SLOW, "seed=range(0,6)", "sweep.per_task=3", "sweep.at_once=2"]
    submitted = json.loads(told(slurm, place, "submit", *sweep, "--json").splitlines()[-1])
    assert submitted["trials"] == 6
    found = SweepFolder(place / submitted["path"])
    script = (found.path / "submitted/1/job.sh").read_text("utf-8")
    assert "#SBATCH --array=0-1%2" in script
    assert (found.path / "submitted/1/code").is_dir()
    runs = [found.runs() / trial.run for trial in found.trials()]

    def output() -> str:
        logs = [*sorted(found.logs.iterdir()), *sorted(found.path.glob("submitted/*/job.log"))]
        return "\n".join(path.read_text("utf-8") for path in logs)

    firsts = [runs[0], runs[3]]
    wait_until(lambda: all(run.exists() and len(logged(Run(run))) >= 2 for run in firsts), output, pause=0.1)
    tasks = [f"{submitted['job']}_{number}" for number in (0, 1)]  # one of them has the id of the whole array
    slurm.run("scancel", "--signal=USR1", *tasks)
    for task in tasks:
        wait_until(lambda task=task: slurm.state(task) == "PENDING", output, pause=0.2)
    assert [slurm.field(task, "Restarts") for task in tasks] == ["1", "1"], output()
    again = json.loads(told(slurm, place, "submit", *sweep, "+cluster.sbatch.hold=true", "--json").splitlines()[-1])
    assert again["job"] != submitted["job"]
    for task in tasks:
        slurm.start_now(task)
    wait_until(lambda: all(done(run) for run in runs), output, pause=0.5)
    for path in runs:
        assert logged(Run(path)) == list(range(1, STEPS + 1))
        assert [attempt["exit_code"] for attempt in Run(path).manifest["attempts"]].count(0) == 1
    assert sum(len(Run(path).manifest["attempts"]) for path in runs) > 7  # of each task one at least was asked to stop
    attempts = [Run(path).manifest["attempts"] for path in runs]
    slurm.run("scontrol", "release", again["job"])
    wait_until(lambda: set(slurm.state(again["job"]).split()) <= {"COMPLETED"}, output, pause=0.5)
    assert [Run(path).manifest["attempts"] for path in runs] == attempts  # the second job had nothing left to do
    table = json.loads(told(slurm, place, "sweep", "table", "latest", "--json").splitlines()[-1])
    assert table["rows"][0]["n"] == 6


def test_trials_show_their_jobs_and_one_is_cancelled(slurm: OneNode, folder: Path) -> None:
    place = place_at(folder / "array-cancel")
    sweep = [*TINY, *CPU, *SLOW, "trainer.max_steps=60", "seed=0,1"]
    submitted = json.loads(told(slurm, place, "submit", *sweep, "--json").splitlines()[-1])
    found = SweepFolder(place / submitted["path"])
    first, second = (found.runs() / trial.run for trial in found.trials())
    wait_until(lambda: all(run.exists() and len(logged(Run(run))) >= 2 for run in (first, second)), pause=0.1)
    rows = {row["id"]: row for row in map(json.loads, told(slurm, place, "ls", "--json").splitlines())}
    for number, run in enumerate((first, second)):
        assert (rows[run.name]["job"], rows[run.name]["queue"]) == (f"{submitted['job']}_{number}", "running")
    assert "interrupted" in told(slurm, place, "cancel", first.name)
    assert list(Run(first).checkpoints.glob("*.ckpt"))
    wait_until(lambda: slurm.state(f"{submitted['job']}_0") == "FAILED", pause=0.2)
    wait_until(lambda: done(second), pause=0.5)


def done(path: Path) -> bool:
    return path.exists() and Run(path).status is Status.FINISHED


def test_what_cannot_be_an_array_is_refused(slurm: OneNode, folder: Path) -> None:
    place = place_at(folder / "refused-array")
    for more, output in (
        (["cluster.nodes=2", "seed=0,1"], "cluster.nodes=2"),
        (["sweep=optuna", "sweep.trials=3", "optimizer.lr=interval(1e-4,1e-3)"], "cannot be a job array"),
        (["seed=0,1", "trainer.max_stepz=1"], "did you mean trainer.max_steps?"),
    ):
        child = aigc(slurm, place, "submit", *TINY, *CPU, *more)
        assert child.wait() == 2
        assert output in child.output
    assert not (place / "outputs/sweeps").exists()

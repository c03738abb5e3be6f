"""A kind of cluster is one file and one YAML: runs and sweeps are queued, listed, requeued and cancelled on it."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from aigc.launch.clusters.kinds import kinds
from aigc.launch.sweeps.folder import SweepFolder
from aigc.runs import Run
from tests.launch.shell_cluster import QUEUE
from tests.launch.tiny_runs import LANGUAGE_MODEL, finish, place_at, reached, the_run
from tests.waiting import wait_until

PACKAGE = Path(__file__).resolve().parents[2] / "aigc"
TINY = [
    *LANGUAGE_MODEL,
    *("evaluation=null", "logger=none", "trainer.accelerator=cpu", "trainer.precision=32-true"),
    *(
        "trainer.num_threads=1",
        "trainer.log_every_n_steps=1",
        "trainer.max_steps=8",
        "trainer.validate_every_n_steps=8",
    ),
    "callbacks.checkpoints.every_n_steps=2",
]
SLOW = "+callbacks.slow._target_=tests.launch.rank_faults.Slow"
YAML = """# @package _global_
cluster:
  _target_: tests.launch.shell_cluster.Shells
  tasks: 1

trainer:
  devices: ${cluster.tasks}
"""


def test_no_file_outside_its_folder_knows_a_kind_of_cluster():
    named = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"slurm|sbatch|squeue|scancel", path.read_text("utf-8"), re.IGNORECASE)
    }
    inside = {name for name in named if name.startswith("launch/clusters/slurm/")}
    assert named - inside == {"launch/__init__.py"}, "which holds what was measured on one"


def test_a_cluster_whose_module_fails_at_import_does_not_affect_others(tmp_path, monkeypatch):
    (tmp_path / "conf/cluster").mkdir(parents=True)
    (tmp_path / "conf/cluster/broken.yaml").write_text("_target_: failing_cluster.Failing\n")
    (tmp_path / "failing_cluster.py").write_text("1 / 0\n")
    (tmp_path / "pyproject.toml").write_text('[tool.aigc]\ntrusted = ["failing_cluster"]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(kinds()) == ["local", "slurm"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = place_at(tmp_path / "place")
    (made / "conf/cluster").mkdir(parents=True)
    (made / "conf/cluster/shells.yaml").write_text(YAML)
    (made / "pyproject.toml").write_text('[tool.aigc]\ntrusted = ["tests"]\n')
    (made / "queue").mkdir()
    return made


def aigc(place: Path, *arguments: str) -> str:
    return finish(place, list(arguments), **{QUEUE: str(place / "queue")})


def submit(place: Path, *arguments: str) -> str:
    message = aigc(place, "submit", "cluster=shells", *TINY, *arguments, "--json")
    return str(json.loads(message.splitlines()[-1])["job"])


def row(place: Path) -> dict[str, Any]:
    return dict(json.loads(aigc(place, "ls", "--json").splitlines()[-1]))


def log(run: Run) -> str:
    path = run.path / "job.log"
    return path.read_text("utf-8") if path.exists() else ""


def under_way(place: Path, run: Run, job: str) -> None:
    ended = place / "queue" / f"{job}.state"
    wait_until(lambda: reached(run) >= 2 or ended.read_text() == "ENDED\n", lambda: log(run))
    assert reached(run) >= 2, log(run)


@pytest.mark.slow
def test_a_job_of_two_ranks_is_listed_requeued_and_finished(place: Path) -> None:
    job = submit(place, SLOW, "cluster.tasks=2", "data.batch_size=2")
    run = the_run(place)
    under_way(place, run, job)
    listed = row(place)
    assert (listed["status"], listed["job"], listed["queue"]) == ("running", job, "running (RUNNING)")
    for pid in (place / "queue" / f"{job}.pids").read_text().split():
        os.kill(int(pid), signal.SIGUSR1)  # as for another job
    state = place / "queue" / f"{job}.state"
    wait_until(lambda: state.read_text() == "QUEUED\n", lambda: log(run))
    assert row(place)["status"] == "pending"
    (place / "queue" / f"{job}.go").touch()
    wait_until(lambda: state.read_text() == "ENDED\n", lambda: log(run))
    assert run.status == "finished", log(run)
    assert [attempt["exit_code"] for attempt in run.manifest["attempts"]] == [75, 0]
    assert run.manifest["environment"]["SHELLS_JOB"] == job
    assert [one["id"] for one in run.manifest["jobs"]] == [job]


@pytest.mark.slow
def test_a_running_job_saves_when_it_is_cancelled_and_can_be_submitted_again(place: Path) -> None:
    job = submit(place, SLOW)
    run = the_run(place)
    under_way(place, run, job)
    assert "interrupted" in aigc(place, "cancel", "latest")
    assert list(run.checkpoints.glob("*.ckpt"))
    again = aigc(place, "submit", "--resume", "latest", "--json")
    job = json.loads(again.splitlines()[-1])["job"]
    wait_until(lambda: (place / "queue" / f"{job}.state").read_text() == "ENDED\n", lambda: log(run))
    assert run.status == "finished", log(run)
    assert [attempt["exit_code"] for attempt in run.manifest["attempts"]] == [130, 0]
    longer = aigc(place, "submit", "--resume", "latest", "trainer.max_steps=10", "--json")
    job = json.loads(longer.splitlines()[-1])["job"]
    wait_until(lambda: (place / "queue" / f"{job}.state").read_text() == "ENDED\n", lambda: log(run))
    assert [attempt.to_step for attempt in run.record.attempts][1:] == [8, 10], log(run)
    assert run.status == "finished"


@pytest.mark.slow
def test_a_sweep_is_an_array(place: Path) -> None:
    job = submit(place, "seed=1,2", "sweep.per_task=1", "trainer.max_steps=2")
    wait_until(lambda: (place / "queue" / f"{job}.state").read_text() == "ENDED\n")
    folder = SweepFolder.open("latest", place / "outputs/sweeps")
    runs = [Run(folder.runs() / trial.run) for trial in folder.trials()]
    assert [run.status for run in runs] == ["finished", "finished"]
    assert [run.manifest["jobs"][0]["id"] for run in runs] == [f"{job}_0", f"{job}_1"]

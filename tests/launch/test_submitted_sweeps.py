"""What `aigc submit` leaves of a sweep, also of one that is submitted twice or refused; no SLURM is needed."""

import json

import pytest

from aigc.errors import InputError
from aigc.launch.submit import cluster_of
from aigc.launch.sweeps.array import frozen_plan, one_driver, submit_sweep
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.trials import plan
from tests.launch.test_batch_script import put_sbatch

NAMED = ["cluster=slurm", "cluster.gpus=0", "cluster.tasks=1", "cluster.freeze_code=false", "sweep.name=mine"]


def submit(*overrides):
    made = plan([*NAMED, *overrides])
    return submit_sweep(made, one_driver(cluster_of(made.cfg))), SweepFolder(made.folder.absolute())


def seeds(folder, number):
    return [one.cfg.seed for one in frozen_plan(folder.path / f"submitted/{number}", 0).trials]


def test_a_sweep_is_submitted_twice_and_each_job_keeps_its_own_trials(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, 'echo "$2" >> scripts; wc -l < scripts')
    first, folder = submit("seed=1,2", "sweep.per_task=2")
    second, _ = submit("seed=1,2", "sweep.per_task=2")
    third, _ = submit("seed=2,3,4", "sweep.per_task=3")
    scripts = [folder.path / f"submitted/{number}/job.sh" for number in (1, 2, 3)]
    assert (own_place / "scripts").read_text().splitlines() == [str(path) for path in scripts]
    for path in scripts:
        assert f"aigc.launch.sweeps.array {path.parent}\n" in path.read_text()
    assert [seeds(folder, number) for number in (1, 2, 3)] == [[1, 2], [1, 2], [2, 3, 4]]
    assert [one.overrides for one in folder.trials()] == [[f"seed={seed}"] for seed in (1, 2, 3, 4)]
    assert [one.number for one in frozen_plan(folder.path / "submitted/3", 0).trials] == [1, 2, 3]
    assert folder.about()["typed"][-2] == "seed=2,3,4"  # a task of an earlier job leaves it so
    assert [one["id"] for one in folder.about()["jobs"]] == [first, second, third] == ["1", "2", "3"]
    made = plan([*NAMED, "seed=5,6"])
    SweepFolder(made.folder).write(made)
    assert len(folder.about()["jobs"]) == 3


def test_a_refused_sweep_leaves_nothing_behind_and_changes_nothing(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, "echo 'sbatch: error: no' >&2; test -e accept && echo 7")
    with pytest.raises(InputError, match="sbatch refuses the job: error: no"):
        submit("seed=1,2")
    assert list((own_place / "outputs/sweeps").iterdir()) == []
    (own_place / "accept").touch()
    _, folder = submit("seed=1,2")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    (own_place / "accept").unlink()
    with pytest.raises(InputError, match="sbatch refuses the job"):
        submit("seed=3,4")
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_task_that_begins_before_its_trials_are_listed_lists_them(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, "echo 7")
    _, folder = submit("seed=1,2")
    before = json.loads((folder.path / "sweep.json").read_text())
    for name in ("sweep.json", "trials.jsonl"):
        (folder.path / name).unlink()
    assert [one.number for one in frozen_plan(folder.path / "submitted/1", 1).trials] == [1]
    before.pop("jobs")
    assert json.loads((folder.path / "sweep.json").read_text()) == before
    assert len(list(folder.trials())) == 2

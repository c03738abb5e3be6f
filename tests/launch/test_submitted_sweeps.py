"""The files of a sweep after `aigc submit`, also when it is submitted twice or refused; no SLURM is needed."""

import json

import pytest

from aigc.errors import InputError
from aigc.launch.clusters import NoAnswer
from aigc.launch.clusters.submit import cluster_of
from aigc.launch.sweeps import trial_devices
from aigc.launch.sweeps.array import array_script, frozen_plan, submit_sweep
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.trials import plan
from tests.launch.test_batch_script import put_sbatch

NAMED = ["cluster=slurm", "cluster.gpus=0", "cluster.tasks=1", "cluster.freeze_code=false", "sweep.name=mine"]


def submit(*overrides):
    made = plan([*NAMED, *overrides])
    return submit_sweep(made, cluster_of(made.cfg).for_array_task()), SweepFolder(made.folder.absolute())


def seeds(folder, number):
    return [one.cfg.seed for one in frozen_plan(folder.path / f"submitted/{number}", 0).trials]


@pytest.mark.slow
def test_a_sweep_is_submitted_twice_and_each_job_keeps_its_own_trials(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, 'echo "$2" >> scripts; wc -l < scripts')
    first, folder = submit("seed=1,2", "sweep.per_task=2")
    second, _ = submit("seed=1,2", "sweep.per_task=2")
    third, _ = submit("seed=2,3,4", "sweep.per_task=3")
    scripts = [folder.path / f"submitted/{number}/job.sh" for number in (1, 2, 3)]
    assert (own_place / "scripts").read_text().splitlines() == [str(path) for path in scripts]
    for path in scripts:
        assert f" {path.parent}\n" in path.read_text()
    assert [seeds(folder, number) for number in (1, 2, 3)] == [[1, 2], [1, 2], [2, 3, 4]]
    assert [one.overrides for one in folder.trials()] == [[f"seed={seed}"] for seed in (1, 2, 3, 4)]
    assert [one.number for one in frozen_plan(folder.path / "submitted/3", 0).trials] == [1, 2, 3]
    assert folder.about()["typed"][-2] == "seed=2,3,4"  # a task of an earlier job leaves it so
    assert [first, second, third] == ["1", "2", "3"]
    assert "jobs" not in folder.about()  # each run's manifest lists its jobs


def test_a_refused_sweep_leaves_nothing_behind_and_changes_nothing(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, "echo 'sbatch: error: no' >&2; test -e accept && echo 7")
    with pytest.raises(InputError, match=r"sbatch .*: error: no"):
        submit("seed=1,2")
    assert list((own_place / "outputs/sweeps").iterdir()) == []
    (own_place / "accept").touch()
    _, folder = submit("seed=1,2")
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    (own_place / "accept").unlink()
    with pytest.raises(InputError, match="sbatch"):
        submit("seed=3,4")
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_task_that_begins_before_its_trials_are_listed_lists_them(own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, "echo 7")
    _, folder = submit("seed=1,2")
    before = json.loads((folder.path / "sweep.json").read_text())
    for name in ("sweep.json", "trials.jsonl"):
        (folder.path / name).unlink()
    assert [one.number for one in frozen_plan(folder.path / "submitted/1", 1).trials] == [1]
    assert json.loads((folder.path / "sweep.json").read_text()) == before
    assert len(list(folder.trials())) == 2


@pytest.mark.parametrize(
    ("given", "cores"),
    [
        (["cluster.gpus=0", "cluster.tasks=2", "+cluster.cpus=8"], 16),
        (["cluster.gpus=0", "cluster.tasks=2"], 2),
        (["cluster.gpus=2", "+cluster.cpus=8"], 16),
        (["cluster.gpus=2"], None),  # the partition's number of cores per GPU
        (["cluster.gpus=0", "cluster.tasks=1"], None),
    ],
)
def test_a_task_of_an_array_has_the_cores_of_all_ranks(given, cores, own_place):
    made = plan(["cluster=slurm", *given, "seed=1,2"])
    text = array_script(made, cluster_of(made.cfg).for_array_task())
    assert "#SBATCH --ntasks-per-node=1\n" in text
    assert [line for line in text.splitlines() if "cpus-per-task" in line] == (
        [f"#SBATCH --cpus-per-task={cores}", f"srun --kill-on-bad-exit=1 --cpus-per-task={cores} \\"] if cores else []
    )


def test_each_rank_of_a_trial_has_the_cores_that_it_was_given(own_place, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)  # which trials obey outside of a job
    put_sbatch(own_place, monkeypatch, "echo 7")
    monkeypatch.setattr(trial_devices, "available_cores", lambda: 16)  # as SLURM pins the task
    _, folder = submit("cluster.tasks=2", "+cluster.cpus=8", "trainer.accelerator=cpu", "seed=1,2", "sweep.per_task=2")
    frozen = frozen_plan(folder.path / "submitted/1", 0)
    places = trial_devices.TrialDevices(frozen.cfg)
    assert (places.workers, places.threads) == (1, 8)
    lease = places.lease(frozen.trials[0].cfg)
    assert lease is not None
    assert lease.environment == {"OMP_NUM_THREADS": "8"}


@pytest.mark.parametrize("ends", ["kill -INT $$", "exit 0"])
def test_a_sweep_without_a_reply_of_sbatch_is_kept(ends, own_place, monkeypatch):
    put_sbatch(own_place, monkeypatch, ends, squeue="")
    with pytest.raises(NoAnswer, match="submitted/1 is kept"):
        submit("seed=1,2")
    kept = own_place / "outputs/sweeps/mine/submitted/1"
    assert [one.number for one in frozen_plan(kept, 0).trials] == [0]

"""The devices of trials: a GPU is leased to one trial at a time, and ranks get their number of threads."""

from pathlib import Path

import pytest

from aigc.config import compose
from aigc.errors import InputError
from aigc.launch.sweeps import trial_devices
from aigc.launch.sweeps.trial_devices import TrialDevices


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(trial_devices, "visible_gpus", lambda: ["4", "6"])
    monkeypatch.setattr(trial_devices.tempfile, "gettempdir", lambda: str(tmp_path))


def test_a_gpu_is_leased_to_one_trial_until_it_is_released(two_gpus: None) -> None:
    cfg = compose(["trainer.accelerator=gpu", "trainer.devices=1"])
    mine, others = TrialDevices(cfg), TrialDevices(cfg)
    assert mine.workers == 2
    one, two = mine.lease(cfg), others.lease(cfg)
    assert one
    assert two
    assert [lease.environment["CUDA_VISIBLE_DEVICES"] for lease in (one, two)] == ["4", "6"]
    assert mine.lease(cfg) is None
    one.release()
    again = others.lease(cfg)
    assert again is not None
    assert again.environment == {"CUDA_VISIBLE_DEVICES": "4"}


def test_jobs_of_slurm_have_gpus_of_their_own(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = compose(["trainer.accelerator=gpu", "trainer.devices=2"])
    lent = []
    for job in ("7", "8"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        places = TrialDevices(cfg)
        lent.append(places.lease(cfg))
        assert places.lease(cfg) is None
    assert None not in lent


def test_a_trial_that_asks_for_two_takes_both_or_none(two_gpus: None) -> None:
    cfg = compose(["trainer.accelerator=gpu", "trainer.devices=2"])
    places = TrialDevices(cfg)
    assert places.workers == 1
    lease = places.lease(cfg)
    assert lease is not None
    assert lease.environment["CUDA_VISIBLE_DEVICES"] == "4,6"
    one = compose(["trainer.accelerator=gpu", "trainer.devices=1"])
    assert places.lease(one) is None
    lease.release()
    held = places.lease(one)
    assert held is not None
    assert places.lease(cfg) is None
    held.release()
    assert places.lease(cfg) is not None
    with pytest.raises(InputError, match="this machine has 2 GPUs"):
        places.check(compose(["trainer.accelerator=gpu", "trainer.devices=3"]))


@pytest.mark.parametrize(("ranks", "told"), [(1, {}), (2, {"OMP_NUM_THREADS": "3"})])
def test_ranks_of_a_trial_are_told_their_threads(ranks: int, told: dict[str, str]) -> None:
    cfg = compose(["trainer.accelerator=cpu", f"trainer.devices={ranks}", "trainer.num_threads=3"])
    lease = TrialDevices(cfg).lease(cfg)
    assert lease is not None
    assert lease.environment == told


@pytest.mark.parametrize(
    ("typed", "given", "threads"),
    [([], "1", 1), ([], "3,2", 3), ([], "many", 4), (["trainer.num_threads=2"], "1", 2)],
)
def test_a_person_s_number_of_threads_is_that_of_each_trial(
    typed: list[str], given: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_devices, "available_cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert TrialDevices(compose(["trainer.accelerator=cpu", "sweep.workers=2", *typed])).threads == threads

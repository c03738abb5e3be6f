"""The place of a process among the ranks, by what torchrun or SLURM say, against what the config says."""

from contextlib import nullcontext

import pytest

from aigc.config import compose
from aigc.errors import InputError
from aigc.launch import devices
from aigc.launch.clusters.kinds import adopt_ranks
from aigc.launch.devices import check_devices, gpus, settle_devices
from aigc.launch.ranks.group import Ranks, check_ranks, read_ranks

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_NNODES": "2"}


def test_a_process_alone_is_the_first_of_one():
    assert read_ranks({}) == Ranks(0, 1, 0, 1)
    assert read_ranks({"SLURM_PROCID": "3", "SLURM_NTASKS": "8"}) == Ranks()  # the shell of a batch script has these


def test_torchrun_and_srun_say_the_same():
    from_slurm = dict(SLURM)
    adopt_ranks(from_slurm)
    assert read_ranks(from_slurm) == read_ranks(TORCHRUN) == Ranks(5, 8, 1, 4)
    assert read_ranks(TORCHRUN).nodes == 2
    both = SLURM | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    adopt_ranks(both)
    assert read_ranks(both) == Ranks()


@pytest.mark.parametrize("name", TORCHRUN)
def test_a_variable_that_is_missing_is_named(name):
    rest = {other: value for other, value in TORCHRUN.items() if other != name}
    with pytest.raises(InputError, match=f"variable {name} is None"):
        read_ranks(rest)


def test_nodes_have_equally_many_tasks():
    with pytest.raises(InputError, match="7 tasks on 2 nodes"):
        adopt_ranks(SLURM | {"SLURM_NTASKS": "7"})


def test_as_many_ranks_as_the_config_says():
    cfg = compose(["trainer.devices=4", "trainer.nodes=2", "trainer.accelerator=cpu"])
    check_ranks(read_ranks(TORCHRUN), cfg)
    for wrong in (["trainer.devices=8", "trainer.nodes=1"], ["trainer.devices=2", "trainer.nodes=2"], []):
        with pytest.raises(InputError, match="there are 8 processes, 4 on this of 2 nodes"):
            check_ranks(read_ranks(TORCHRUN), compose(["trainer.accelerator=cpu", *wrong]))


def test_auto_is_settled_before_a_config_is_frozen():
    cfg = compose(["trainer.devices=auto", "trainer.accelerator=cpu"])
    settle_devices(cfg)
    assert cfg.trainer.devices == 1
    assert gpus(cfg) is None
    check_devices(cfg)


def test_gpus_that_are_not_there_are_missed(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match="torch sees no GPU here"):
        check_devices(compose(["trainer=gpu"]))
    check_devices(compose(["trainer.accelerator=auto"]))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    check_devices(compose(["trainer=gpu", "trainer.devices=2"]))
    with pytest.raises(InputError, match="torch sees 2 GPUs here"):
        check_devices(compose(["trainer=gpu", "trainer.devices=3"]))


@pytest.mark.parametrize(
    ("typed", "is_refused"),
    [
        (["trainer.accelerator=cpu", "trainer.devices=3"], True),
        (["trainer.accelerator=auto", "trainer.devices=3"], True),
        (["trainer.accelerator=cpu", "trainer.devices=2"], False),
        (["trainer.accelerator=cpu", "trainer.devices=3", "trainer.num_threads=1"], False),
        (["trainer.accelerator=gpu", "trainer.devices=3"], False),
        (["trainer.accelerator=cpu", "trainer.devices=auto"], False),
    ],
)
def test_more_ranks_than_cores_are_refused_unless_threads_are_set(typed, is_refused, monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 2)
    monkeypatch.setattr(devices, "visible_gpus", list)
    with pytest.raises(InputError, match=r"trainer\.devices=3.*2 CPU cores") if is_refused else nullcontext():
        devices.check_cores(compose(typed))


def test_gpus_are_no_cores(monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 2)
    monkeypatch.setattr(devices, "visible_gpus", lambda: ["0", "1", "2"])
    devices.check_cores(compose(["trainer.devices=3"]))

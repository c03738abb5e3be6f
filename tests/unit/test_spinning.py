"""Processes that aigc starts bound how long OpenMP's threads spin, unless a person has decided."""

import os
import subprocess
import sys

import pytest

from aigc.cli.main import main
from aigc.launch import spinning
from aigc.launch.spinning import OWN_SETTINGS, SPINS, SPINS_WHEN_BUSY, is_busy
from aigc.runs.environment import may_change_numbers


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "1")  # so that it is restored
    for name in OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("busy", "spins"), [(False, SPINS), (True, SPINS_WHEN_BUSY)])
def test_a_verb_bounds_the_spins(busy: bool, spins: int, own_place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spinning, "is_busy", lambda: busy)
    assert main(["ls"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == str(spins)


@pytest.mark.parametrize(
    ("said", "busy"),
    [
        ("4.10 3.00 2.00 5/700 1234\n", True),
        ("4.10 3.00 2.00 1/700 1234\n", False),  # what was busy has ended
        ("0.30 0.10 0.10 5/700 1234\n", False),  # for a moment
        ("?\n", False),
        (None, False),
    ],
)
def test_a_machine_is_busy_where_others_have_run_and_do(said: str | None, busy: bool, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(spinning, "available_cores", lambda: 4)
    if said is not None:
        (tmp_path / "loadavg").write_text(said)
    assert is_busy(tmp_path / "loadavg") is busy


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5")])
def test_a_person_s_own_setting_stays(name: str, value: str, own_place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert main(["ls"]) == 0
    assert {other: os.environ.get(other) for other in OWN_SETTINGS} == dict.fromkeys(OWN_SETTINGS) | {name: value}


def test_a_worker_that_another_launcher_starts_bounds_them_before_torch_is_loaded() -> None:
    code = (
        "import os, sys\n"
        "sys.argv = ['worker', '/no/such/run']\n"
        "from aigc.launch import worker\n"
        "assert worker.main() == 2\n"
        "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    spins, has_torch = done.stdout.split()
    assert int(spins) in (SPINS, SPINS_WHEN_BUSY)
    assert has_torch == "False"


def test_it_is_no_drift_of_the_environment() -> None:
    assert not any(map(may_change_numbers, OWN_SETTINGS))
    assert may_change_numbers("OMP_NUM_THREADS")

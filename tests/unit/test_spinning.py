"""Processes that aigc starts bound how long OpenMP's threads spin, unless a person has decided."""

import os

import pytest

from aigc.cli.main import main
from aigc.launch.spinning import OWN_SETTINGS, SPINS
from aigc.runs.environment import may_change_numbers


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "1")  # so that it is restored
    for name in OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)


def test_a_verb_bounds_the_spins(own_place) -> None:
    assert main(["ls"]) == 0
    assert os.environ["GOMP_SPINCOUNT"] == str(SPINS)


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5")])
def test_a_person_s_own_setting_stays(name: str, value: str, own_place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert main(["ls"]) == 0
    assert {other: os.environ.get(other) for other in OWN_SETTINGS} == dict.fromkeys(OWN_SETTINGS) | {name: value}


def test_it_is_no_drift_of_the_environment() -> None:
    assert not any(map(may_change_numbers, OWN_SETTINGS))
    assert may_change_numbers("OMP_NUM_THREADS")

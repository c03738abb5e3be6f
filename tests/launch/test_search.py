"""`sweep=optuna` with real processes: a study that several drivers share and that survives them."""

import json
import signal
from pathlib import Path

import pytest

from aigc.config.problems import ConfigError
from aigc.config.schema import Sweep
from aigc.errors import InputError
from aigc.launch.sweeps.search_space import split
from aigc.launch.sweeps.study import Study
from aigc.launch.sweeps.trials import plan
from aigc.runs.status import Status
from tests.launch.test_sweeps import SLOW, assert_each_ran_once, begun, statuses, sweep, the_sweep
from tests.launch.tiny_runs import finish, place_at
from tests.waiting import wait_until

SPACE = ["optimizer.lr=tag(log,interval(1e-6,1e-2))", "seed=choice(0,1)"]
OPTUNA = ["sweep=optuna", "sweep.pruner=null", *SPACE]


def study_in(path: Path, **settings: object) -> Study:
    return Study(path, split(SPACE)[1], Sweep(**settings), "minimize")


def test_a_later_driver_continues_the_same_study(tmp_path: Path) -> None:
    one = study_in(tmp_path, trials=4, seed=3)
    asked = [one.ask(), one.ask()]
    later = study_in(tmp_path, trials=4, seed=3)
    assert [later.overrides(number) for number, _ in asked] == [overrides for _, overrides in asked]
    more = [later.ask(), one.ask()]
    assert later.ask() is None
    assert [number for number, _ in asked + more] == [0, 1, 2, 3]
    assert len({overrides[0] for _, overrides in asked + more}) == 4  # no driver repeats the first draws
    one.tell(0, 1.0)
    later.tell(0, 2.0)
    later.tell(1, float("nan"))
    later.tell(2, None, pruned=True)
    assert one.states() == {0: "COMPLETE", 1: "FAIL", 2: "PRUNED", 3: "RUNNING"}


def test_a_trial_left_without_values_by_a_killed_driver_gets_them(tmp_path: Path) -> None:
    study = study_in(tmp_path, trials=2)
    study._study.ask()  # as if it were killed before the first value was written
    overrides = study_in(tmp_path, trials=2).overrides(0)
    assert [text.partition("=")[0] for text in overrides] == ["optimizer.lr", "seed"]
    assert study_in(tmp_path, trials=2).overrides(0) == overrides


def test_an_unfinished_line_of_a_killed_driver_does_no_harm(tmp_path: Path) -> None:
    asked = study_in(tmp_path, trials=3).ask()
    with (tmp_path / "study.jsonl").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    later = study_in(tmp_path, trials=3)
    assert later.overrides(0) == asked[1]
    assert later.ask()[0] == 1
    assert study_in(tmp_path, trials=3).states() == {0: "RUNNING", 1: "RUNNING"}


def test_a_trial_worse_than_the_median_is_pruned(tmp_path: Path) -> None:
    study = study_in(tmp_path, trials=9, pruner="median")
    for value in range(6):
        number, _ = study.ask()
        assert not study.report(number, 1, float(value) if number < 5 else 0.5)
        study.tell(number, float(value))
    number, _ = study.ask()
    assert study.report(number, 1, 100.0)


def test_another_space_is_another_study(tmp_path: Path) -> None:
    study_in(tmp_path, trials=1)
    with pytest.raises(InputError, match=r"sweep\.name"):
        Study(tmp_path, split(["seed=choice(0,1,2)"])[1], Sweep(trials=1), "minimize")


def test_a_search_space_is_checked_before_anything_is_written() -> None:
    with pytest.raises(ConfigError) as found:
        plan(["sweep=optuna", "trainer.max_steps=interval(-3,4)", "model=gpt2,gtp2"])
    assert "trainer.max_steps" in str(found.value)
    assert "gtp2" in str(found.value)
    with pytest.raises(InputError, match="nothing to search"):
        plan(["sweep=optuna", "seed=1"])
    one = plan([*OPTUNA])
    assert one.id == plan([*OPTUNA, "sweep.trials=99", "sweep.workers=2"]).id  # more trials extend it
    assert one.id != plan([*OPTUNA, "sweep.seed=1"]).id


@pytest.mark.slow
def test_two_drivers_share_a_study_and_a_third_finds_it_done(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    drivers = [sweep(place, *OPTUNA, "sweep.trials=6", "sweep.workers=1") for _ in range(2)]
    for driver in drivers:
        assert driver.wait() == 0, driver.output
    assert_each_ran_once(place, 6)
    again = sweep(place, *OPTUNA, "sweep.trials=6")
    assert again.wait() == 0
    assert "finished  6 of 6 (0 now)" in again.output
    table = json.loads(finish(place, ["sweep", "table", "latest", "--json"]).splitlines()[-1])
    assert sum(row["n"] for row in table["rows"]) == 6


@pytest.mark.slow
@pytest.mark.parametrize("whole_group", [False, True])
def test_trials_of_a_killed_driver_are_resumed_with_the_same_values(whole_group: bool, tmp_path: Path) -> None:
    place = place_at(tmp_path)
    command = [*SLOW, *OPTUNA, "sweep.trials=4", "sweep.workers=2", "callbacks.checkpoints.every_n_steps=1"]
    child = sweep(place, *command)
    wait_until(lambda: child.ended or begun(place, 2))
    before = statuses(place)
    (child.send_to_group if whole_group else child.send)(signal.SIGKILL)
    child.wait()
    again = sweep(place, *command)
    assert again.wait() == 0, again.output
    assert before.keys() <= statuses(place).keys()
    assert_each_ran_once(place, 4)


@pytest.mark.slow
def test_pruned_trials_stop_early_and_are_not_resumed(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    command = [*SLOW, "sweep=optuna", SPACE[0], "sweep.workers=1", "trainer.validate_every_n_steps=1"]
    command += ["trainer.max_steps=12", "sweep.trials=8", "sweep.seed=3"]  # of which two are far below the median
    child = sweep(place, *command)
    assert child.wait() == 0, child.output
    folder = the_sweep(place)
    pruned = [trial.run for trial in folder.trials() if folder.is_pruned(trial.run)]
    assert 1 <= len(pruned) <= 3
    assert [folder.status(run).status for run in pruned] == [Status.PREEMPTED] * len(pruned)
    again = sweep(place, *command)
    assert again.wait() == 0
    assert f"pruned    {len(pruned)}" in again.output
    assert [folder.status(run).status for run in pruned] == [Status.PREEMPTED] * len(pruned)

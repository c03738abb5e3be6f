"""Sweeps with real processes: each trial finishes once, whatever is killed, and does not affect others."""

import json
import os
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from aigc.config.identity import identity
from aigc.launch.sweeps.folder import SweepFolder
from aigc.runs import Run
from aigc.runs.metrics_file import read
from aigc.runs.status import Status
from tests.drawing import EXHAUSTIVE, chance
from tests.launch.forking import Child
from tests.launch.tiny_runs import LANGUAGE_MODEL, finish, place_at, start
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("AIGC_TEST_KILLS", "5" if EXHAUSTIVE else "3"))
"""How often a driver is killed; `make test-kills` takes 20."""

STEPS = 4
TINY = [
    *LANGUAGE_MODEL,
    "evaluation=null",
    "logger=none",
    "callbacks.progress=null",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
    "trainer.log_every_n_steps=1",
    f"trainer.max_steps={STEPS}",
]
FAULT = [
    "+callbacks.fault._target_=tests.launch.rank_faults.FailAt",
    "+callbacks.fault.step=2",
    "+callbacks.fault.rank=0",
    "--trust=tests",
]
SLOW = ["+callbacks.slow._target_=tests.launch.rank_faults.Slow", "--trust=tests"]


def sweep(place: Path, *arguments: str) -> Child:
    return start(place, ["sweep", *TINY, *arguments])


def the_sweep(place: Path) -> SweepFolder:
    (path,) = (place / "outputs/sweeps").iterdir()
    return SweepFolder(path)


def statuses(place: Path) -> dict[str, Status]:
    folder = the_sweep(place)
    return {" ".join(trial.overrides): folder.status(trial.run).status for trial in folder.trials()}


def assert_each_ran_once(place: Path, trials: int) -> None:
    """Check that every trial ended once and logged every step once."""
    folder = the_sweep(place)
    runs = [folder.run(trial.run) for trial in folder.trials()]
    assert len(runs) == trials
    assert len(list((place / "outputs/runs").iterdir())) == trials
    for run in runs:
        assert run is not None
        assert run.status is Status.FINISHED
        assert [attempt["exit_code"] for attempt in run.manifest["attempts"]].count(0) == 1
        assert logged(run) == list(range(1, STEPS + 1))


def logged(run: Run) -> list[int]:
    return [row["step"] for row in read(run.path / "metrics.jsonl") if "train/loss" in row]


def test_a_sweep_runs_resumes_compares_and_names_its_best(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    axes = ["seed=0,1,2", "optimizer.lr=0.01,1e-5,0.00001"]
    dry = finish(place, ["sweep", *TINY, *axes, "--dry-run"])
    assert "6 trials, 3 duplicates omitted, 0 already finished" in dry
    assert not (place / "outputs").exists()
    child = start(place, ["train", *TINY, *axes], real=True)  # several values make it a sweep
    assert child.wait() == 0, child.output
    told = child.output
    assert "finished  6 of 6 (6 now)" in told
    assert_each_ran_once(place, 6)
    before = {run: (place / "outputs/runs" / run / "manifest.json").stat().st_mtime_ns for run in runs_of(place)}
    assert "finished  6 of 6 (0 now)" in finish(place, ["sweep", *TINY, *axes, "sweep.workers=1"])
    assert before == {run: (place / "outputs/runs" / run / "manifest.json").stat().st_mtime_ns for run in before}
    table = json.loads(finish(place, ["sweep", "table", "latest", "--json"]).splitlines()[-1])
    assert table["metric"] == "val/perplexity"
    assert [(row["overrides"], row["n"]) for row in table["rows"]] == [
        (["optimizer.lr=0.01"], 3),
        (["optimizer.lr=1e-05"], 3),
    ]
    best = table["rows"][0]
    assert best["mean"] == pytest.approx(sum(best["values"]) / 3)
    values = [Run(place / "outputs/runs" / run).manifest["metrics"]["val/perplexity"] for run in best["runs"]]
    assert values == best["values"]
    assert "| optimizer.lr=0.01 | 3 |" in finish(place, ["sweep", "table", "latest", "--md"])
    experiment = finish(place, ["sweep", "best", "latest"])
    (place / "conf/experiment").mkdir(parents=True)
    (place / "conf/experiment/best.yaml").write_text(experiment, encoding="utf-8")
    checked = finish(place, ["validate", "experiment=best", "--print"])
    made = yaml.safe_load(checked)
    run = Run(place / "outputs/runs" / best["runs"][0])
    assert identity(made) == run.manifest["identity"]


def test_trials_that_differ_in_more_than_the_seed_are_not_averaged(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    finish(place, ["sweep", *TINY, "sweep.name=mine", "seed=0,1"])
    finish(place, ["sweep", "table", "mine", "--metric", "val/bits_per_byte"])
    child = start(place, ["sweep", "best", "mine", "--metric", "val/bits_per_byte"])
    assert child.wait() == 2
    assert "--direction: " in child.output
    assert "val/bits_per_byte" in child.output
    assert "seed: " in finish(place, ["sweep", "best", "mine", "--metric", "val/bits_per_byte", "--direction", "min"])
    finish(place, ["sweep", *TINY, "sweep.name=mine", "seed=2,3", "optimizer.weight_decay=0.5"])
    table = json.loads(finish(place, ["sweep", "table", "mine", "--json"]).splitlines()[-1])
    assert [row["n"] for row in table["rows"]] == [2, 2]
    assert any(row["overrides"] == ["optimizer.weight_decay=0.5"] for row in table["rows"])


def runs_of(place: Path) -> list[str]:
    return [trial.run for trial in the_sweep(place).trials()]


def test_a_failed_trial_does_not_affect_others(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = sweep(place, *FAULT, "+callbacks.fault.how=nothing,raise,diverge,out_of_memory,kill", "seed=0,1")
    assert child.wait() == 1
    assert "8 trials have failed, 0 were not run" in child.output
    told = statuses(place)
    expected = {"raise": "failed", "diverge": "diverged", "out_of_memory": "out_of_memory", "kill": "killed"}
    for words, status in told.items():
        how = words.split()[0].partition("how=")[2]
        assert str(status) == expected.get(how, "finished"), words
    assert "killed 3 times at step" in child.output
    logs = "".join(path.read_text("utf-8") for path in the_sweep(place).logs.iterdir())
    assert "litlogger" not in logs
    again = sweep(place, *FAULT, "+callbacks.fault.how=nothing,raise,diverge,out_of_memory,kill", "seed=0,1")
    assert again.wait() == 1
    table = finish(place, ["sweep", "table", "latest", "--metric", "val/perplexity", "--csv"])
    assert "callbacks.fault.how=nothing,2," in table
    attempts = {run.id: len(run.manifest["attempts"]) for run in map(Run, (place / "outputs/runs").iterdir())}
    assert sorted(attempts.values())[:8] == [1] * 8  # failed trials are listed, and run again only on request


@pytest.mark.parametrize("how", [["--max-failures=1"], ["--fail-fast"], ["sweep.max_failures=1"]])
def test_a_sweep_ends_after_so_many_failures(how: list[str], tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = sweep(place, *FAULT, "+callbacks.fault.how=raise", "seed=range(0,8)", "sweep.workers=1", *how)
    assert child.wait() == 1
    failed = 1 if how == ["--fail-fast"] else 2
    told = "1 trial has failed" if failed == 1 else "2 trials have failed"
    assert f"{told}, {8 - failed} were not run" in child.output


def test_two_drivers_never_run_a_trial_twice(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    drivers = [sweep(place, "seed=range(0,12)") for _ in range(2)]
    for driver in drivers:
        assert driver.wait() == 0, driver.output
    assert_each_ran_once(place, 12)


def test_trials_save_and_exit_when_the_driver_is_stopped(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    child = sweep(place, *SLOW, "seed=0,1")
    wait_until(lambda: child.ended or begun(place, 2))
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    assert set(statuses(place).values()) <= {Status.PREEMPTED, Status.FINISHED}
    again = sweep(place, *SLOW, "seed=0,1")
    assert again.wait() == 0, again.output
    assert_each_ran_once(place, 2)


def begun(place: Path, trials: int) -> bool:
    """Whether so many trials have made a step."""
    root = place / "outputs/runs"
    runs = [Run(path) for path in root.iterdir() if not path.name.startswith(".")] if root.exists() else []
    return sum((run.path / "metrics.jsonl").exists() and bool(logged(run)) for run in runs) >= trials


def kill_until_done(place: Path, arguments: Sequence[str], kills: int, dice: random.Random) -> int:
    """Kill the driver at random moments, alone or with its trials; then let it finish."""
    done = 0
    for _ in range(kills):
        child = start(place, list(arguments))
        began, wait = time.monotonic(), dice.uniform(0.5, 8)
        wait_until(lambda: child.ended or time.monotonic() - began > wait, pause=0.02)  # noqa: B023
        if not child.ended:
            done += 1
            if dice.random() < 0.5:
                child.send_to_group(signal.SIGKILL)
            else:
                child.send(signal.SIGKILL)
        child.wait()
    child = start(place, list(arguments))
    assert child.wait() == 0, child.output
    return done


def test_a_driver_killed_at_random_moments_finishes_the_sweep(tmp_path: Path) -> None:
    place = place_at(tmp_path)
    trials = 4 * KILLS
    command = [
        "sweep",
        *TINY,
        *SLOW,
        "sweep.workers=2",
        f"seed=range(0,{trials})",
        "callbacks.checkpoints.every_n_steps=1",
    ]
    killed = kill_until_done(place, command, KILLS, chance("kills of drivers"))
    print(f"the driver was killed {killed} times of {KILLS}")
    assert killed >= 0.6 * KILLS
    assert_each_ran_once(place, trials)
    table = json.loads(finish(place, ["sweep", "table", "latest", "--json"]).splitlines()[-1])
    assert table["rows"][0]["n"] == trials
    assert len(set(table["rows"][0]["values"])) == trials

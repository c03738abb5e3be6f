"""What `aigc sweep` says of trials that other commands have run; no trial is trained."""

import json
import os
import signal
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest

from aigc.cli.sweep import parser, run
from aigc.config.freeze import frozen_yaml
from aigc.errors import AigcError, InputError, InterruptedRun
from aigc.launch.sweeps import planning
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.search import SearchDriver
from aigc.launch.sweeps.search_space import Axis
from aigc.launch.sweeps.trials import SweepPlan, plan
from aigc.runs import Run, stop
from aigc.runs.status import Status, write_status

GRID = ["debug=fast", "seed=0,1,2", "sweep.name=grid"]
OPTUNA = ["sweep=optuna", "debug=fast", "optimizer.lr=interval(1e-4,1e-2)", "sweep.name=search"]

Sweeps = Callable[..., int]


@pytest.fixture
def sweep(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    """`aigc sweep ...` in this process, which must start no other."""
    monkeypatch.setattr("aigc.launch.sweeps.process.warm_up", lambda: None)
    monkeypatch.setattr("aigc.launch.sweeps.driver.Driver._start", lambda *_: pytest.fail("a trial was started"))
    return lambda *arguments: run(parser().parse_intermixed_args(list(arguments)))


def end(made: SweepPlan, identity: str, status: Status, message: str | None = None) -> None:
    """Make the run of a trial, as if another process had worked on it."""
    (trial,) = [one for one in made.trials if one.identity == identity]
    run = Run.create(made.folder.parent.parent / "runs", "x", frozen_yaml(trial.cfg), run_id=made.run_id(trial))
    with run.edit_manifest() as manifest:
        manifest.metrics = {"val/perplexity": 3.0}
    write_status(run.path, status, message=message)


def test_trials_that_failed_earlier_are_listed_as_such(sweep: Sweeps, capsys: pytest.CaptureFixture) -> None:
    made = plan(GRID)
    SweepFolder(made.folder).write(made)
    for trial, status in zip(made.trials, (Status.FINISHED, Status.FAILED, Status.DIVERGED), strict=True):
        end(made, trial.identity, status, "the lamp fell")
    with pytest.raises(AigcError, match=r"^2 trials have failed, 0 were not run; .*--retry-failed"):
        sweep(*GRID)
    told = capsys.readouterr()
    assert "trial 1 failed under an earlier command: the lamp fell" in told.err
    assert "trial 2 diverged under an earlier command: the lamp fell" in told.err
    assert "failed    2 (0 now)" in told.out
    assert "pruned" not in told.out
    assert "1 of 3 (0 now)" in told.out


@pytest.mark.parametrize("wrong", [["--max-failures", "-1"], ["--max-failures=x"], ["--md", "--csv"]])
def test_options_that_mean_nothing_are_refused(wrong: list[str], sweep: Sweeps, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        sweep("table", "latest", *wrong)
    assert ended.value.code == 2
    assert wrong[0].partition("=")[0] in capsys.readouterr().err


def test_the_help_states_which_failures_count() -> None:
    assert "earlier failures do not count" in " ".join(parser().format_help().split())


def test_a_search_with_nothing_left_to_ask_waits_for_what_others_run(
    sweep: Sweeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aigc.launch.sweeps.search.RECHECK_SECONDS", 600.0)
    made = plan([*OPTUNA, "sweep.trials=2"])
    one, other = SearchDriver(made), SearchDriver(made)
    asked = [other.study.ask(), other.study.ask()]
    one._fill()
    assert [trial.number for _, trial in one._waiting] == [0, 1]
    assert all(due > time.monotonic() for due, _ in one._waiting)
    trials = [other._make_trial(*each) for each in asked]
    for trial, status in zip(trials, (Status.FINISHED, Status.FAILED), strict=True):
        made.trials.append(trial)
        end(made, trial.identity, status, "the lamp fell")
    one._waiting = deque((time.monotonic(), trial) for _, trial in one._waiting)  # and so the time is over
    tally = one.run()
    assert (tally.skipped, tally.left) == (1, 0)
    assert tally.failed_elsewhere == {1: "failed under another command: the lamp fell"}
    assert SearchDriver(made).tally.failed_elsewhere == {1: "failed under an earlier command: the lamp fell"}


def test_another_space_leaves_the_sweep_as_it_was(sweep: Sweeps) -> None:
    made = plan([*OPTUNA, "sweep.trials=2"])
    SearchDriver(made)
    before = (made.folder / "sweep.json").read_text("utf-8")
    with pytest.raises(InputError, match="searches another space"):
        sweep("sweep=optuna", "debug=fast", "optimizer.lr=1e-3,2e-3", "sweep.name=search", "sweep.trials=3")
    assert (made.folder / "sweep.json").read_text("utf-8") == before


def test_a_dry_run_of_a_search_prints_json_alone(sweep: Sweeps, capsys: pytest.CaptureFixture) -> None:
    assert sweep(*OPTUNA, "--dry-run", "--json") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"sweep": "search", "trials": 20, "keys": ["optimizer.lr"]}


def test_a_chinese_comma_is_named(sweep: Sweeps) -> None:
    with pytest.raises(InputError, match="seed=1，2 has a Chinese comma"):
        sweep("debug=fast", "seed=1，2")


def test_a_grid_of_many_trials_gives_a_sign_of_life(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    axes = [Axis("seed", tuple(map(str, range(50)))), Axis("optimizer.lr", tuple(map(str, range(1000))))]
    monkeypatch.setattr(planning.log, "propagate", True)
    with caplog.at_level("INFO", "aigc"):
        progress = planning.PlanningProgress(axes, "grid")
        progress.log(1)
        monkeypatch.setattr(planning, "_SECONDS_BETWEEN_LINES", 0.0)
        progress.log(300)
        planning.PlanningProgress(axes[:1], "grid")
    first, second = caplog.messages
    assert first.startswith("50,000 trials: checking all of them takes about 19 min")
    assert second == "checked 300 of 50,000 trials"


def test_planning_ends_when_it_is_asked_to() -> None:
    progress = planning.PlanningProgress([], "grid")
    with stop.listening():
        progress.log(1)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(InterruptedRun, match="while the trials were checked"):
            progress.log(2)

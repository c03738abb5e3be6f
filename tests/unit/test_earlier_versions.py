"""Runs and sweeps that another version began are found again by the same command; nothing is trained."""

import hashlib
import json
import runpy
from collections.abc import Sequence
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from aigc.config import check, compose
from aigc.config.freeze import frozen_yaml
from aigc.config.identity import identity
from aigc.config.renamed import RENAMED
from aigc.errors import InputError
from aigc.launch import start as starting
from aigc.launch.prepared_run import PreparedRun
from aigc.launch.sweeps.array import frozen_plan
from aigc.launch.sweeps.continued import continued_plan, keep_names
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.table import best_experiment, make_table
from aigc.launch.sweeps.trials import SweepPlan, Trial, plan
from aigc.runs import Run
from aigc.runs.files import write_atomic, write_json
from aigc.runs.status import Status, write_status
from tests.conftest import write

EXPERIMENTS = {
    "language_model": ["trainer.max_steps=7"],
    "gan": ["experiment=gan/letters", "trainer.max_steps=7", "evaluation.images.samples=64"],
}
AUTO = ["run.resume=auto", "trainer.devices=1"]


def frozen_before(text: str) -> str:
    """A frozen config as the version before wrote it: old names, fewer keys, the monitor in the callback."""
    for old, new in RENAMED.items():
        text = text.replace(f"_target_: {new}", f"_target_: {old}")
    cfg = OmegaConf.create(text)
    del cfg.trainer["limit_evaluation_samples"]
    del cfg.trainer["tensor_parallel_size"]
    images = "gan" in cfg.task._target_
    cfg.callbacks.checkpoints.monitor = cfg.callbacks.checkpoints.monitor or (None if images else "val/perplexity")
    cfg.callbacks.checkpoints.mode = "min"
    return OmegaConf.to_yaml(cfg)


def made_before(run: Run) -> Run:
    """The run as if the version before had made it."""
    text = frozen_before((run.path / "config.yaml").read_text(encoding="utf-8"))
    write_atomic(run.path / "config.yaml", text)
    with run.edit_manifest() as manifest:
        manifest.source_sha256 = "0" * 64
        manifest.identity = identity(OmegaConf.create(text))
    return run


def old_run(place: Path, *overrides: str, run_id: str | None = None) -> Run:
    cfg = compose(overrides)
    cfg.trainer.devices = 1
    run = Run.create(place / "outputs/runs", cfg.experiment, frozen_yaml(cfg), seed=cfg.seed, run_id=run_id)
    return made_before(run)


@pytest.fixture
def begins(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new run would be made in an instant, and is called `new`."""
    monkeypatch.setattr(starting, "start", lambda *_: PreparedRun(Run("new"), True))


def resumed(*overrides: str) -> str:
    return starting.start_or_resume(compose([*AUTO, *overrides]), overrides).run.id


@pytest.mark.usefixtures("begins")
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_of_another_version_is_resumed_by_the_same_command(own_place, name):
    command = EXPERIMENTS[name]
    run = old_run(own_place, *command)
    assert run.record.identity not in {identity(compose(command)), identity(run.config)}
    assert resumed(*command) == run.id
    for other in ("seed=1", "optimizer.lr=0.5", "trainer.max_steps=8", "callbacks.checkpoints.mode=max"):
        assert resumed(*command, other) == "new"


@pytest.mark.usefixtures("begins")
def test_a_run_id_of_another_version_is_taken_for_the_same_config_only(own_place):
    run = old_run(own_place, *EXPERIMENTS["gan"], run_id="mine")
    assert resumed(*EXPERIMENTS["gan"], "run.id=mine") == run.id
    with pytest.raises(InputError, match=r"run\.id=mine"):
        resumed(*EXPERIMENTS["gan"], "run.id=mine", "task.n_critic=3")


@pytest.mark.usefixtures("begins")
def test_damaged_runs_are_passed_over(own_place):
    run = old_run(own_place, *EXPERIMENTS["gan"])
    for name, text in (("config.yaml", "- a list"), ("manifest.json", "{")):
        damaged = old_run(own_place, *EXPERIMENTS["gan"])
        (damaged.path / name).write_text(text, encoding="utf-8")
    assert resumed(*EXPERIMENTS["gan"]) == run.id


SEEDS = ["seed=0,1,2", "trainer.max_steps=7"]


def old_sweep(overrides: Sequence[str], begun: int = 2, trials: Sequence[Trial] = ()) -> SweepPlan:
    """A sweep that the version before has begun: its plan as of today, with the names of then on the disk."""
    made = plan(overrides)
    trials = trials or made.trials
    name = made.cfg.sweep.name or f"lm-tang_quatrains-{hashlib.sha256(str(overrides).encode()).hexdigest()[:8]}"
    folder = SweepFolder(made.folder.parent / name)
    folder.path.mkdir(parents=True)
    lines = []
    for number, trial in enumerate(trials):
        text = frozen_before(frozen_yaml(trial.cfg))
        old = identity(OmegaConf.create(text))
        run_id = f"{folder.id}-{old[:12]}"
        listed = {"number": number, "overrides": trial.overrides, "identity": old, "run": run_id, "fixed": made.fixed}
        lines.append(json.dumps(listed) + "\n")
        if number < begun:
            trial.cfg.trainer.devices = 1
            run = made_before(
                Run.create(folder.runs(), "x", frozen_yaml(trial.cfg), seed=trial.cfg.seed, run_id=run_id)
            )
            write_status(run.path, Status.FINISHED)
    write_atomic(folder.path / "trials.jsonl", "".join(lines))
    about = {"format": 1, "experiment": made.experiment, "typed": made.typed, "fixed": made.fixed, "keys": made.keys}
    write_json(folder.path / "sweep.json", about)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", [[], ["sweep.name=mine"]])
def test_a_sweep_of_another_version_goes_on_under_its_names(own_place, name):
    old_sweep([*SEEDS, *name])
    (path,) = (own_place / "outputs/sweeps").iterdir()
    folder = SweepFolder(path.relative_to(own_place))
    listed = [one.run for one in folder.trials()]
    again = continued_plan([*SEEDS, *name, "sweep.workers=1"])
    assert again.id == path.name
    assert [again.run_id(trial) for trial in again.trials] == listed  # also of the trial that has not begun
    folder.write(again)
    assert [one.run for one in folder.trials()] == listed


@pytest.mark.slow
def test_a_named_sweep_of_another_version_can_be_extended(own_place):
    old_sweep([*SEEDS, "sweep.name=mine"])
    folder = SweepFolder(Path("outputs/sweeps/mine"))
    listed = [one.run for one in folder.trials()]
    folder.write(continued_plan(["seed=0,1,2,3", SEEDS[1], "sweep.name=mine"]))
    runs = [one.run for one in folder.trials()]
    assert runs[:3] == listed
    assert len(runs) == 4


@pytest.mark.slow
@pytest.mark.parametrize("change", [["optimizer.lr=0.5"], ["trainer.max_steps=8"], ["sweep.seed=1"]])
def test_another_command_begins_another_sweep(own_place, change):
    old_sweep(SEEDS)
    own = plan([*SEEDS, *change])
    assert continued_plan([*SEEDS, *change]).id == own.id
    assert own.continues is None


@pytest.mark.slow
def test_an_edited_config_is_another_sweep_though_the_command_is_the_same(own_place):
    old_sweep(SEEDS)
    for run in (own_place / "outputs/runs").iterdir():
        text = (run / "config.yaml").read_text(encoding="utf-8")
        assert "weight_decay: 0.1" in text
        (run / "config.yaml").write_text(text.replace("weight_decay: 0.1", "weight_decay: 0.2"), encoding="utf-8")
    assert continued_plan(SEEDS).continues is None


@pytest.mark.slow
def test_trials_of_a_search_keep_their_names(own_place):
    command = ["sweep=optuna", "optimizer.lr=interval(1e-4,1e-3)", "trainer.max_steps=7", "sweep.trials=2"]
    cfg = compose(["optimizer.lr=0.0005", "trainer.max_steps=7"])
    old_sweep(command, trials=[Trial(0, ["optimizer.lr=0.0005"], cfg, identity(cfg))])
    again = continued_plan([*command[:-1], "sweep.trials=5"])
    folder = SweepFolder(again.folder)
    (listed,) = folder.trials()
    assert again.continues == folder.id
    trial = Trial(0, ["optimizer.lr=0.0005"], cfg, identity(cfg))
    keep_names(folder, [trial], again)
    assert again.run_id(trial) == listed.run


@pytest.mark.slow
def test_trials_of_both_versions_are_one_row_of_the_table_and_the_best_is_a_config_of_today(own_place):
    old_sweep([*SEEDS, "sweep.name=mine"], begun=3)
    again = continued_plan(["seed=0,1,2,3", SEEDS[1], "sweep.name=mine"])
    folder = SweepFolder(again.folder)
    folder.write(again)
    new = again.trials[-1]
    write_status(Run.create(folder.runs(), "x", frozen_yaml(new.cfg), run_id=again.run_id(new)).path, Status.FINISHED)
    for number, trial in enumerate(folder.trials()):
        with Run(folder.runs() / trial.run).edit_manifest() as manifest:
            manifest.metrics = {"val/perplexity": 3.0 + number}
    (row,) = make_table(folder).rows
    assert (row.overrides, len(row.values)) == ((), 4)
    write(own_place / "conf/experiment/best.yaml", best_experiment(folder))
    check(compose(["experiment=best"]))


@pytest.mark.slow
def test_a_queued_sweep_of_another_version_has_the_names_and_keys_of_this_one(own_place):
    made = plan(SEEDS)
    path = own_place / "outputs/sweeps/mine/submitted/1"
    path.mkdir(parents=True)
    trials = [
        {"identity": one.identity, "overrides": one.overrides, "config": frozen_before(frozen_yaml(one.cfg))}
        for one in made.trials
    ]
    about = {"experiment": made.experiment, "typed": made.typed, "fixed": made.fixed, "keys": made.keys}
    write_json(path / "plan.json", about | {"cluster": "x", "submitted": "", "trials": trials})
    (trial,) = frozen_plan(path, 2).trials
    check(trial.cfg, deep=True)
    assert trial.cfg.seed == 2


def test_batch_scripts_of_another_version_note_how_ranks_ended(own_place, monkeypatch):
    run = old_run(own_place, *EXPERIMENTS["language_model"])
    monkeypatch.setattr("sys.argv", ["note_end", str(run.path), "137"])
    runpy.run_module("aigc.launch.note_end", run_name="__main__")
    assert run.status is Status.KILLED

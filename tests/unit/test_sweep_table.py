"""What a sweep's table and status say of trials that several commands have added; no trial is trained."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from aigc.cli.parts.sweep_views import show_status, show_table
from aigc.config.compose import compose
from aigc.config.freeze import frozen_yaml
from aigc.config.identity import identity
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.row_labels import row_labels, shown, spelled
from aigc.launch.sweeps.table import best_experiment, make_table
from aigc.launch.sweeps.trials import plan
from aigc.runs import Run
from aigc.runs.status import Status, write_status

Adds = Callable[..., SweepFolder]


@pytest.fixture
def add(own_place: Path) -> Adds:
    """Add the trials of a command to the sweep `mix`, with a value for each run that has ended."""

    def added(
        *overrides: str, values: tuple[float, ...] | None = None, status: Status = Status.FINISHED
    ) -> SweepFolder:
        made = plan([*overrides, "sweep.name=mix"])
        folder = SweepFolder(made.folder)
        folder.write(made)
        for number, trial in enumerate(made.trials):
            if values is not None:
                run = Run.create(folder.runs(), "x", frozen_yaml(trial.cfg), run_id=made.run_id(trial))
                with run.edit_manifest() as manifest:
                    manifest.metrics = {"val/perplexity": values[number % len(values)]}
                write_status(run.path, status)
        return folder

    return added


def rows_of(folder: SweepFolder) -> dict[str, int]:
    return {" ".join(row.overrides): len(row.values) for row in make_table(folder).rows}


@pytest.mark.slow
def test_a_row_is_labelled_by_all_that_differs_whichever_command_set_it(add: Adds) -> None:
    add("debug=fast", "optimizer.lr=1e-3,2e-3", values=(1.0, 2.0))
    folder = add("debug=fast", "trainer.max_steps=3", "seed=0,1", values=(4.0, 5.0))
    folder = add(
        "debug=fast", "trainer.max_steps=3", "optimizer.lr=0.0010,7e-4", "seed=1,2", values=(4.0, 5.0, 6.0, 7.0)
    )
    lr = compose(["debug=fast"]).optimizer.lr
    assert rows_of(folder) == {
        "optimizer.lr=0.001 trainer.max_steps=2": 1,
        "optimizer.lr=0.002 trainer.max_steps=2": 1,
        f"optimizer.lr={lr} trainer.max_steps=3": 2,
        "optimizer.lr=0.001 trainer.max_steps=3": 2,
        "optimizer.lr=0.0007 trainer.max_steps=3": 2,
    }


def test_the_status_labels_trials_that_have_not_begun_in_the_same_way(add: Adds, capsys: pytest.CaptureFixture) -> None:
    add("debug=fast", "optimizer.lr=1e-3,2e-3", values=(1.0, 2.0))
    folder = add("debug=fast", "trainer.max_steps=3", "seed=7", "optimizer.lr=1e-3,0.002")
    show_status(folder, as_json=False)
    told = capsys.readouterr().out
    seed = compose().seed
    assert f"optimizer.lr=0.001 trainer.max_steps=2 seed={seed}" in told
    assert "optimizer.lr=0.002 trainer.max_steps=3 seed=7" in told
    show_status(folder, as_json=True)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["differs_in"] == ["optimizer.lr=0.002", "trainer.max_steps=3", "seed=7"]


def test_a_choice_stands_for_all_that_comes_with_it(add: Adds) -> None:
    add("debug=fast", "seed=0,1", values=(1.0,))
    add("model=llama", "debug=fast", "scheduler=null,warmup_cosine", values=(2.0, 3.0))
    told = row_labels(add("seed=0,1"))
    assert sorted({" ".join(row.shown) for row in told.values()}) == [
        "scheduler=null debug=fast model=llama",
        "scheduler=warmup_cosine debug=fast model=gpt2",
        "scheduler=warmup_cosine debug=fast model=llama",
        "scheduler=warmup_cosine debug=null model=gpt2",
    ]


def test_what_was_typed_for_none_is_told_where_it_differs(add: Adds) -> None:
    folder = add("debug=fast", "seed=0,1,2", values=(1.0,))
    for number, trial in enumerate(folder.trials()):
        path = folder.runs() / trial.run / "config.yaml"
        text = path.read_text("utf-8").replace("weight_decay: 0.1", f"weight_decay: 0.{number // 2 + 1}")
        path.write_text(text.replace("weight_decay: 0.01", f"weight_decay: 0.0{number // 2 + 1}"), "utf-8")
    assert list(rows_of(folder).values()) == [2, 1]
    assert all("weight_decay=" in label for label in rows_of(folder))


def test_a_trial_of_a_list_is_labelled_by_its_line(add: Adds, capsys: pytest.CaptureFixture) -> None:
    callback = "+callbacks.timer._target_=aigc.callbacks.Throughput"
    lines = ["optimizer.lr=1e-3 seed=1", "optimizer.lr=0.001 seed=2", "model=llama", f"{callback} ~callbacks.progress"]
    Path("trials.txt").write_text("\n".join(lines) + "\n")
    folder = add("sweep=list", "sweep.path=trials.txt", values=(4.0, 2.0, 3.0, 1.0))
    assert rows_of(folder) == {"optimizer.lr=0.001": 2, "model=llama": 1, f"{callback[1:]} ~callbacks.progress": 1}
    show_status(folder, as_json=False)
    told = capsys.readouterr().out
    assert "optimizer.lr=0.001 seed=1 " in told
    assert "model=llama " in told
    assert told.count("callbacks.timer") == 1
    show_table(folder, None, None, "text")
    assert max(map(len, capsys.readouterr().out.splitlines())) < 140


def test_the_best_of_a_sweep_that_several_commands_made_is_its_own_config(add: Adds) -> None:
    add("debug=fast", "optimizer.weight_decay=0.3", "seed=0,1", values=(1.0, 2.0))
    folder = add("debug=fast", "model=llama", "seed=0,1", values=(5.0, 6.0))
    text = best_experiment(folder)
    assert "NAME-OF-THIS-FILE" in text.splitlines()[1]
    conf = Path("conf/experiment")
    conf.mkdir(parents=True)
    (conf / "mine.yaml").write_text(text, encoding="utf-8")
    assert "debug=fast" in text.partition("defaults:")[0]
    assert compose(["experiment=mine"]).trainer.max_steps == compose().trainer.max_steps
    assert identity(compose(["experiment=mine", "debug=fast"])) == next(iter(folder.trials())).identity


def test_what_was_typed_beside_debug_stays_in_the_best(add: Adds) -> None:
    text = best_experiment(add("debug=fast", "trainer.max_steps=7", "optimizer.lr=1e-3,2e-3", values=(1.0, 2.0)))
    found = yaml.safe_load(text)
    assert found["trainer"] == {"max_steps": 7}
    assert found["optimizer"]["lr"] == 1e-3


def test_numbers_are_short_for_a_person_and_whole_in_files(add: Adds, capsys: pytest.CaptureFixture) -> None:
    folder = add("debug=fast", "optimizer.lr=0.0012345678901234,0.00012", values=(1.0, 2.0))
    show_table(folder, None, None, "text")
    assert "optimizer.lr=0.001235 " in capsys.readouterr().out
    show_table(folder, None, None, "csv")
    assert "optimizer.lr=0.0012345678901234," in capsys.readouterr().out
    assert shown([("x=0.123456",), ("x=0.123457",), ("x=a",)]) == ["x=0.123456", "x=0.123457", "x=a"]


def test_a_value_has_one_spelling() -> None:
    values = [1e-3, 1.0, 1, True, None, "a b", "1", [0.9, 1e-5], {"a": 1.5}]
    assert list(map(spelled, values)) == ["0.001", "1", "1", "true", "null", "a b", "'1'", "[0.9,1e-05]", "{a:1.5}"]


def test_pruned_trials_are_not_unfinished(add: Adds, capsys: pytest.CaptureFixture) -> None:
    folder = add("debug=fast", "seed=0,1", values=(1.0,))
    add("debug=fast", "seed=2", "optimizer.lr=1e-3,2e-3", values=(1.0,), status=Status.PREEMPTED)
    *_, one, other = [trial.run for trial in folder.trials()]
    folder.prune(one)
    rows = {" ".join(row.overrides): (row.pruned, row.missing) for row in make_table(folder).rows}
    assert rows["optimizer.lr=0.001"] == (1, 0)
    assert rows["optimizer.lr=0.002"] == (0, 1)
    show_status(folder, as_json=False)
    assert "2 finished, 1 preempted, 1 pruned" in capsys.readouterr().out
    assert other != one

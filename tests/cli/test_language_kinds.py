"""A custom language task is trained, evaluated and exported; the state of its objective belongs to its model."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForSequenceClassification

from aigc.runs import Run
from tests.launch.tiny_runs import start, wait_in
from tests.training.language_tasks import SIZES

pytestmark = pytest.mark.slow

TASK = "aigc.tasks.language.base:LanguageTask"
MOODS = ("glad", "mad", "sad")
BERT = {"head": "SequenceClassification", "architecture": "bert", "settings": SIZES | {"num_labels": 3}}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
KINDS: dict[str, tuple[str, dict[str, Any], str, list[str]]] = {
    "classifier": ("Classifier", BERT, "Classification", []),
    "masked": ("MaskedLM", {"head": "MaskedLM", "architecture": "bert", "settings": SIZES}, "Masked", []),
    "seq2seq": (
        "Seq2SeqLM",
        {"head": "Seq2SeqLM", "architecture": "t5", "settings": T5},
        "SequenceToSequence",
        ["data.text_column=null", "data.prompt_column=label", "data.completion_column=text"],
    ),
}
"""Task, model, objective, and what else is typed, of each kind."""
EXPERIMENT = """# @package _global_
defaults:
  - override /task: mine
  - override /model: mine
  - override /data: text
  - override /logger: none
data:
  path: texts.jsonl
  text_column: text
  objective:
    _target_: tests.unit.data.objectives.OBJECTIVE
  sequence_length: 16
  batch_size: 4
  validation_fraction: 0.25
evaluation:
  generation: null
optimizer:
  lr: 0.01
trainer:
  num_threads: 1
  max_steps: 4
  validate_every_n_steps: 2
callbacks:
  checkpoints:
    every_n_steps: 2
"""


def table(path: Path, moods: tuple[str, ...], count: int = 40) -> None:
    """Texts with a mood; each text starts with the letter of its mood."""
    chosen = [moods[i % len(moods)] for i in range(count)]
    rows = [{"text": f"{mood[0] * (1 + i % 5)} {i}", "label": mood} for i, mood in enumerate(chosen)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with texts."""
    (tmp_path / "here").mkdir()
    table(tmp_path / "here/texts.jsonl", MOODS)
    return tmp_path / "here"


def write_conf(place: Path, kind: str) -> None:
    """The YAML of a custom kind of task."""
    task, model, objective, _ = KINDS[kind]
    files = {
        "task": yaml.safe_dump({"_target_": f"tests.training.language_tasks.{task}"}),
        "model": yaml.safe_dump({"_target_": "aigc.models.TransformersModel", **model}),
        "experiment": EXPERIMENT.replace("OBJECTIVE", objective),
    }
    for group, text in files.items():
        (place / "conf" / group).mkdir(parents=True, exist_ok=True)
        (place / "conf" / group / "mine.yaml").write_text(text)


def call(place: Path, *arguments: str) -> Any:
    """Run a command that trusts the package of the tests."""
    child = start(place, [*arguments, "--trust", "tests"])
    return SimpleNamespace(code=child.wait(), output=child.output)


def trained(place: Path, kind: str, *more: str) -> Run:
    """Return the run of a command that must succeed."""
    write_conf(place, kind)
    done = call(place, "train", "experiment=mine", *KINDS[kind][3], *more)
    assert done.code == 0, done.output
    return Run.open("latest", place / "outputs/runs")


def scores(run: Run) -> dict[str, float]:
    """Return the values of the last validation."""
    return {name: value for name, value in run.manifest["metrics"].items() if name.startswith("val/")}


def measured(place: Path, run: Run, *more: str) -> dict[str, float]:
    done = call(place, "eval", run.id, "--json", *more)
    assert done.code == 0, done.output
    return dict(json.loads(done.output.splitlines()[-1])["metrics"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_custom_task_is_measured_and_exported_without_a_class_for_it(kind: str, place: Path) -> None:
    run = trained(place, kind)
    assert measured(place, run) == pytest.approx(scores(run), rel=1e-6)
    for out, more in {"left": [], "saved": ["--checkpoint", "best"]}.items():
        done = call(place, "export", run.id, "--out", out, *more)
        assert done.code == 0, done.output
        assert (place / out / "model.safetensors").read_bytes() == (run.model / "model.safetensors").read_bytes()
        assert (place / out / "data_state.json").exists() == (kind == "classifier")
    done = call(place, "generate", run.id)
    assert done.code == 2
    assert run.id in done.output


def test_what_an_objective_has_learned_stays_with_the_model(place: Path) -> None:
    run = trained(place, "classifier")
    state = json.loads((run.model / "data_state.json").read_text())
    assert state["learned"] == {"classes": list(MOODS)}

    table(place / "some.jsonl", ("sad", "mad"))  # learned anew, mad would be 0 and sad 1
    rows = [json.loads(line) for line in (place / "some.jsonl").read_text().splitlines()]
    found = measured(place, run, "data.path=some.jsonl", "data.validation_path=some.jsonl")
    model, tokenizer = run.load_model()
    right = 0
    for row in rows:
        ids = torch.tensor([tokenizer(row["text"], add_special_tokens=False)["input_ids"]])
        right += MOODS[int(model(input_ids=ids).logits.argmax())] == row["label"]
    assert found["val/accuracy"] == right / len(rows)
    assert isinstance(model, AutoModelForSequenceClassification._model_mapping[type(model.config)])

    table(place / "more.jsonl", ("sad", "mad", "bored"))
    done = call(place, "eval", run.id, "data.path=more.jsonl")
    assert done.code == 2, done.output
    assert "bored" in done.output
    assert "data.objective" in done.output

    again = trained(place, "classifier", "data.path=some.jsonl", "model.architecture=null", f"model.path={run.model}")
    assert json.loads((again.model / "data_state.json").read_text()) == state
    done = call(
        place, "train", "experiment=mine", "data.path=more.jsonl", "model.architecture=null", f"model.path={run.model}"
    )
    assert (done.code, "bored" in done.output) == (2, True), done.output
    assert len(list((place / "outputs/runs").iterdir())) == 2, "the second was refused before it had a folder"


def test_a_resumed_run_keeps_what_its_objective_has_learned(place: Path) -> None:
    write_conf(place, "classifier")
    child = wait_in(place, ["train", "experiment=mine", "--trust", "tests"], f"{TASK}.training_step", 4, for_ever=True)
    child.kill()
    rows = [json.loads(line) for line in (place / "texts.jsonl").read_text().splitlines()]
    for labels, code in ({"glad": "bored"}, 2), ({"glad": "mad"}, 0):  # with the same texts, so the same tokens
        changed = [row | {"label": labels.get(row["label"], row["label"])} for row in rows]
        (place / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
        done = call(place, "resume", "latest", "resume.allow=[data]")
        assert done.code == code, done.output
        assert ("bored" in done.output) == (code == 2)
    run = Run.open("latest", place / "outputs/runs")
    assert (run.status, len(run.record.attempts)) == ("finished", 2)
    assert json.loads((run.model / "data_state.json").read_text())["learned"] == {"classes": list(MOODS)}

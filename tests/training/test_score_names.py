"""The names under which evaluations record their scores and keep their files: no two of a run are the same."""

import json
from typing import Any

import pytest

from aigc.errors import InputError
from aigc.evaluation import ScoreNames, TextGeneration
from aigc.logger import MetricsFileLogger
from aigc.runs import Run
from aigc.runs.metrics_file import read
from aigc.runs.metrics_writer import MetricsFile
from aigc.tasks import Task
from tests.training.evaluations import BLEU, FID, Norm, fit, language_run
from tests.training.tiny_gan import image_data, image_evaluation, tiny_gan


def test_two_evaluations_of_one_class_overwrite_nothing(tmp_path):
    task, data = language_run(tmp_path)
    first = TextGeneration({"bleu": BLEU}).bind("evaluation.generation")
    second = TextGeneration({"bleu": BLEU, "chrf": {"_target_": "aigc.metrics.text.CHRF"}}, samples=2)
    fit(tmp_path, task, data, first, second.bind("evaluation.short"), val_check_interval=1)
    assert {"val/bleu", "val/short/bleu", "val/chrf"} <= set(task.latest)
    assert "val/generation/bleu" not in task.latest
    lines = {path: path.read_text(encoding="utf-8").splitlines() for path in tmp_path.rglob("step-000001.jsonl")}
    assert {str(path.relative_to(tmp_path)): len(rows) for path, rows in lines.items()} == {
        "samples/step-000001.jsonl": len(first.pairs(data.heldout, data)),
        "samples/short/step-000001.jsonl": len(second.pairs(data.heldout, data)),
    }
    assert all("output" in json.loads(row) for rows in lines.values() for row in rows)


class Found(Norm):
    """An evaluation that knows its scores when it has measured them; it gives each the name that `value` has."""

    def __init__(self, value: float, *scores: str, after: int = 0, at: bool = True):
        super().__init__({})
        self.value, self.scores, self.after, self.at_start = value, scores, after, at

    def evaluate(self, trainer: Any, module: Task) -> None:
        if module.steps_done >= self.after:
            self.record(module, dict.fromkeys(self.scores, self.value), {})


class Declared(Found):
    """The same, of scores that are known before."""

    def _unique_scores(self) -> set[str]:
        return set(self.scores)


def test_scores_that_are_known_after_measuring_have_names_of_their_own(tmp_path):
    task, data = language_run(tmp_path)
    first, late, third = Found(1.0, "f1"), Found(2.0, "f1", "known"), Declared(3.0, "known", "f1/all")
    pairs = [(first, "first"), (late, "late"), (third, "third")]
    fit(tmp_path, task, data, *[one.bind(f"evaluation.{name}") for one, name in pairs], max_steps=2)
    found = {name: value for name, value in task.latest.items() if value in (1.0, 2.0, 3.0)}
    assert found == {"val/f1": 1.0, "val/late/f1": 2.0, "val/late/known": 2.0, "val/known": 3.0, "val/f1/all": 3.0}


def test_names_that_were_claimed_during_a_run_are_kept_when_it_resumes(tmp_path):
    task, data = language_run(tmp_path)
    pair = [Found(1.0, "f1", after=2), Found(2.0, "f1")]
    fit(tmp_path, task, data, *[one.bind(f"evaluation.{name}") for one, name in zip(pair, "ab", strict=True)])
    again = [Found(1.0, "f1"), Found(2.0, "f1")]
    for one, before, name in zip(again, pair, "ab", strict=True):
        one.bind(f"evaluation.{name}").load_state_dict(before.state_dict())
    task, data = language_run(tmp_path)
    fit(tmp_path, task, data, *again)
    assert (task.latest["val/f1"], task.latest["val/a/f1"]) == (2.0, 1.0)


def test_a_name_that_another_evaluation_declares_by_now_is_not_restored(tmp_path):
    names, other = ScoreNames(), ScoreNames()
    other.join("evaluation.b", [names], ["bleu"])
    names.join("evaluation.a", [other], [])
    names.load_state({"bleu": "val/bleu", "ter": "val/ter"})
    assert names.of(["bleu", "ter"]) == {"bleu": "val/a/bleu", "ter": "val/ter"}


def test_an_evaluation_between_steps_adds_to_a_row_that_is_not_written_yet(tmp_path, monkeypatch):
    replaced = []
    monkeypatch.setattr(MetricsFile, "_replace_end", lambda *given: replaced.append(given))
    task, data = language_run(tmp_path)
    logger = MetricsFileLogger(Run(tmp_path))
    fit(tmp_path, task, data, Norm({}).bind("evaluation.mine"), max_steps=4, logger=logger, log_every_n_steps=1)
    rows = read(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows if "val/norm" in row] == [0, 2, 4]
    assert all("train/loss" in row for row in rows[1:])
    assert replaced == []


def test_a_score_without_a_free_name_is_refused_by_both_keys(tmp_path):
    task, data = language_run(tmp_path)
    pair = Declared(1.0, "f1", "b/f1").bind("evaluation.a"), Found(2.0, "f1").bind("evaluation.b")
    with pytest.raises(InputError, match=r"evaluation\.b .*evaluation\.a"):
        fit(tmp_path, task, data, *pair)


def test_two_evaluations_of_one_name_are_refused_by_both_keys(tmp_path):
    task, data = language_run(tmp_path)
    pair = [TextGeneration({}).bind(key) for key in ("evaluation.mine", "callbacks.mine")]
    with pytest.raises(InputError, match=r"callbacks\.mine .*evaluation\.mine"):
        fit(tmp_path, task, data, *pair)


def test_two_metrics_with_one_score_are_refused_by_both_keys(tmp_path):
    task, data = language_run(tmp_path)
    evaluation = TextGeneration({"a": BLEU, "b": {"_target_": "aigc.metrics.text.TER"}}).bind("evaluation.mine")
    evaluation.metrics["b"] = evaluation.metrics["a"]
    with pytest.raises(InputError, match=r"evaluation\.mine\.metrics\.b .*evaluation\.mine\.metrics\.a"):
        fit(tmp_path, task, data, evaluation, val_check_interval=1)


def test_images_of_two_evaluations_lie_apart(tmp_path):
    task = tiny_gan()
    kept = {"strip": 0, "neighbours": 0, "metrics": {"fid": FID}}
    pair = [image_evaluation(tmp_path, f"evaluation.{name}", **kept) for name in ("images", "again")]
    fit(tmp_path, task, image_data(tmp_path), *pair)
    assert {"val/fid_projection", "val/again/fid_projection"} <= set(task.latest)
    assert (tmp_path / "samples/step-000001.png").is_file()
    assert (tmp_path / "samples/again/step-000001.png").is_file()


def test_evaluations_declare_what_they_record(tmp_path):
    chosen = {name: {"_target_": f"aigc.metrics.text.{name}"} for name in ("BLEU", "CHRF", "ROUGE", "DistinctN")}
    cases = [
        (language_run(tmp_path / "text"), TextGeneration(chosen).bind("evaluation.mine")),
        ((tiny_gan(), image_data(tmp_path)), image_evaluation(tmp_path, "evaluation.mine", metrics={"fid": FID})),
    ]
    for (task, data), evaluation in cases:
        declared = evaluation.value_names()
        fit(tmp_path / type(task).__name__, task, data, evaluation, val_check_interval=1)
        own = task.value_names() or set()
        assert {name for name in task.latest if name.startswith("val/")} - own == declared
    assert Declared(1.0).value_names() == set()
    assert TextGeneration({"bleu": BLEU, "off": None}).bind("evaluation.mine").value_names() == {"val/bleu"}

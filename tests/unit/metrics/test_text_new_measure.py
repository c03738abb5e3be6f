"""A new measure of texts is one file: a config, `aigc score` and torchmetrics know it from there."""

import importlib
import shutil
from pathlib import Path

import pytest

import aigc.metrics.text
from aigc.config.build import build
from aigc.config.class_sources import find_module, named_classes
from aigc.config.targets import is_subclass, signature
from aigc.config.trust import TRUSTED
from aigc.metrics.text.scorer import Scorer
from aigc.metrics.text.text_metric import TextMetric

FILE = """
from aigc.metrics.text.scorer import AdditiveScorer

class WordCountScorer(AdditiveScorer):
    '''Mean number of words.'''

    metric_name = "word_count"
    needs_references = False
    _columns = 1

    def __init__(self, lower: bool = False) -> None:
        super().__init__()

    def _rows(self, pairs):
        return [[len(text.split())] for text, _ in pairs]

    def _scores(self, sums, pairs):
        return {"words": int(sums[0]) / pairs}

    def _signature(self, sums, references):
        return "word_count"
"""


def test_a_new_measure_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the same `__init__` as aigc.metrics.text, and one file in it."""
    package = tmp_path / "own_measures"
    package.mkdir()
    shutil.copy(Path(aigc.metrics.text.__file__), package / "__init__.py")
    (package / "word_count.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("aigc.config.trust.TRUSTED", (*TRUSTED, "own_measures"))
    find_module.cache_clear()
    assert named_classes("own_measures", "metric_name") == {"word_count": "own_measures.word_count.WordCountScorer"}
    assert list(signature("own_measures.WordCount").parameters) == ["lower"]
    assert is_subclass("own_measures.WordCount", "aigc.metrics.text.scorer.TextMeasure")
    metric = build({"_target_": "own_measures.WordCount", "lower": True}, TextMetric)
    metric.update(["a b", "c"], None)
    metric.update(["a b c"], None)
    assert {name: float(score) for name, score in metric.compute().items()} == {"words": 2.0}
    scorer = build({"_target_": "own_measures.word_count.WordCountScorer"}, Scorer)
    assert scorer.measure(["a b", "c", "a b c"]).scores == {"words": 2.0}


def test_every_scorer_has_a_metric_of_the_same_options() -> None:
    """As read from the sources, and as imported."""
    for name, target in named_classes("aigc.metrics.text", "metric_name").items():
        module, _, scorer = target.rpartition(".")
        metric = getattr(aigc.metrics.text, scorer.removesuffix("Scorer"))
        assert issubclass(metric, (getattr(importlib.import_module(module), scorer), TextMetric)), name
        assert signature(f"aigc.metrics.text.{metric.__name__}") == signature(target)

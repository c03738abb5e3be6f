"""What the two layers of the text metrics import."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.waiting import PATIENCE

LOADED = """
import json, sys, warnings
warnings.simplefilter("ignore")

def loaded(*names):
    return sorted({module.split(".")[0] for module in sys.modules} & set(names))

texts = ["the cat sat on the mat", "床前明月光，疑是地上霜。"]
"""
SCORERS = """
import aigc.metrics.text
from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.distinct import DistinctNScorer
from aigc.metrics.text.exact_match import ExactMatchScorer
from aigc.metrics.text.form_accuracy import FormAccuracyScorer
from aigc.metrics.text.rouge import ROUGEScorer
from aigc.metrics.text.self_bleu import SelfBLEUScorer
from aigc.metrics.text.ter import TERScorer

scorers = [BLEUScorer(), CHRFScorer(), TERScorer(), FormAccuracyScorer("a"), ExactMatchScorer(), ROUGEScorer()]
scorers += [DistinctNScorer(), SelfBLEUScorer()]
scores = {}
for scorer in scorers:
    scores |= scorer.measure(texts, texts).scores
print(json.dumps([scores, loaded("torch", "torchmetrics", "transformers", "pytorch_lightning", "hydra", "datasets")]))
"""
METRICS = """
import aigc.metrics.text

metric = aigc.metrics.text.BLEU()
metric.update(texts, texts)
score = float(metric.compute()["bleu"])
print(json.dumps([score, loaded("torch", "torchmetrics", "pytorch_lightning", "lightning", "hydra", "datasets")]))
"""


def run(script: str) -> Any:
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED + script],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_scorers_need_neither_torch_nor_torchmetrics_nor_transformers() -> None:
    scores, loaded = run(SCORERS)
    assert loaded == []
    assert round(scores["bleu"], 9) == round(scores["rougeL"], 9) == scores["exact_match"] == 100


@pytest.mark.slow
def test_metrics_need_neither_lightning_nor_hydra() -> None:
    score, loaded = run(METRICS)
    assert loaded == ["torch", "torchmetrics"], "these two are there: what is loaded is seen"
    assert round(score, 9) == 100

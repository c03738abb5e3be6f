"""What the two layers of the text metrics import."""

import json
import os
import subprocess
import sys

import pytest

LOADED = """
import json, sys, warnings
warnings.simplefilter("ignore")

def loaded(*names):
    return sorted({module.split(".")[0] for module in sys.modules} & set(names))

texts = ["the cat sat on the mat", "床前明月光，疑是地上霜。"]
"""
SCRIPT = """
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
early = loaded("torch", "torchmetrics", "transformers", "pytorch_lightning", "hydra", "datasets")

metric = aigc.metrics.text.BLEU()
metric.update(texts, texts)
score = float(metric.compute()["bleu"])
late = loaded("torch", "torchmetrics", "pytorch_lightning", "lightning", "hydra", "datasets")
print(json.dumps([scores, early, score, late]))
"""


@pytest.mark.slow
def test_scorers_need_no_torch_and_metrics_no_lightning() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED + SCRIPT],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    scores, early, score, late = json.loads(done.stdout)
    assert early == []
    assert round(scores["bleu"], 9) == round(scores["rougeL"], 9) == scores["exact_match"] == round(score, 9) == 100
    assert late == ["torch", "torchmetrics"], "these two are there: what is loaded is seen"

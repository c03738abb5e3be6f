"""Counters of text metrics that never saturate."""

import numpy as np
import pytest
import torch

from aigc.metrics.text import BLEU
from tests.unit.metrics.test_text_metric import DATA, feed
from tests.unit.metrics.text_samples import split


@pytest.mark.parametrize("start", [2**24 - 10, 2**31 - 10, 2**53])
def test_counters_do_not_saturate(start: int) -> None:
    metric = BLEU()
    rows = metric.statistics(*split(DATA)).sum(axis=0)
    metric.sums[:-1] += start
    before = metric.sums[:-1].tolist()
    for _ in range(3):
        feed(metric, DATA)
    assert metric.sums[:-1].tolist() == [old + 3 * int(new) for old, new in zip(before, rows, strict=True)]


def test_counters_of_float32_would_saturate() -> None:
    """A negative control of the test above."""
    sums = torch.full((4,), 2.0**24)
    for _ in range(100):
        sums += torch.tensor([1.0, 1.0, 2.0, 1.0])
    assert sums.tolist() == [2**24, 2**24, 2**24 + 200, 2**24]


def test_bleu_beyond_16_million_tokens_still_moves() -> None:
    """Half of the n-grams match; a perfect corpus of the same size halves the rest."""
    metric = BLEU(tokenize="13a")
    line = " ".join(f"w{place}" for place in range(103))
    feed(metric, [(line, [line]), (line, [line.replace("w", "v")])])
    metric.sums *= 2**20
    assert metric.details()["prediction_length"] == 206 * 2**20 > 2**27
    assert float(metric.compute()["bleu"]) == pytest.approx(50)
    metric.sums += 2 * 2**20 * torch.from_numpy(np.append(metric.statistics([line], [line])[0], 0))
    assert float(metric.compute()["bleu"]) == pytest.approx(75)
    before = float(metric.compute()["bleu"])
    feed(metric, [(line, [line])])
    assert before < float(metric.compute()["bleu"]) < before + 1e-4

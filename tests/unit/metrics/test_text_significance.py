"""Paired bootstrap resampling: sacrebleu's numbers, exact sums, one stream of random numbers, little memory."""

import random
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.significance import PairedTest, estimate_ci

from aigc.metrics.text import comparison, significance
from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.comparison import measure_systems
from aigc.metrics.text.distinct import DistinctNScorer
from aigc.metrics.text.scorer import AdditiveScorer
from aigc.metrics.text.significance import estimate, p_value, resampled_scores, resampled_sums
from aigc.metrics.text.ter import TERScorer
from tests.conftest import REPOSITORY, WORDS

TEXTS = 300
ONE_RESAMPLE = 1 / 1001
METRICS = {
    "bleu": (BLEUScorer("13a"), BLEU(tokenize="13a")),
    "bleu zh": (BLEUScorer("zh"), BLEU(tokenize="zh")),
    "chrf": (CHRFScorer(), CHRF()),
    "chrf++": (CHRFScorer(word_order=2), CHRF(word_order=2)),
    "ter": (TERScorer(), TER()),
}


def noisy(units, vocabulary, rate, dice):
    return [dice.choice(vocabulary) if dice.random() < rate else unit for unit in units]


def systems(metric, rates=(0.3, 0.29), texts=TEXTS):
    """References, and systems that got a part of the units wrong."""
    dice = random.Random(3)
    if metric == "bleu zh":
        table = (REPOSITORY / "aigc/assets/tang_quatrains.tsv").read_text(encoding="utf-8")
        references = [line.split("\t")[2] for line in table.splitlines()[1 : texts + 1]]
        return references, [["".join(noisy(text, "春夏秋冬山水", rate, dice)) for text in references] for rate in rates]
    lines = [dice.choices(WORDS, k=dice.randint(4, 20)) for _ in range(texts)]
    references = [" ".join(line) for line in lines]
    return references, [[" ".join(noisy(line, WORDS, rate, dice)) for line in lines] for rate in rates]


def sacrebleus(engine, references, baseline, other, samples):
    found = PairedTest([("baseline", baseline), ("other", other)], {"x": engine}, [references], "bs", samples)()[1]
    (name,) = set(found) - {"System"}
    return found[name]


@pytest.mark.parametrize("metric", METRICS)
def test_means_intervals_and_p_values_are_sacrebleus(metric):
    references, (baseline, other) = systems(metric)
    scorer, engine = METRICS[metric]
    ours = measure_systems({"x": scorer}, [baseline, other], references)
    theirs = sacrebleus(engine, references, baseline, other, 1000)
    for our, their in zip(ours, theirs, strict=True):
        (score,) = our.scores.values()
        (found,) = our.estimates.values()
        assert score == pytest.approx(their.score, abs=1e-4)
        assert found.mean == pytest.approx(their.mean, abs=1e-4)  # sacrebleu's sums and scores are float32
        assert found.interval == pytest.approx(their.ci, abs=1e-4)
    (p,) = ours[1].p_values.values()
    assert p == theirs[1].p_value
    assert ONE_RESAMPLE < p < 0.5  # neither end, where every test would agree


def test_other_seeds_and_numbers_of_samples_are_other_resamples():
    references, (baseline, other) = systems("bleu")
    means = {
        measure_systems({"x": BLEUScorer("13a")}, [baseline, other], references, samples, seed)[1]
        .estimates["bleu"]
        .mean
        for samples, seed in ((1000, 12345), (1000, 12346), (999, 12345))
    }
    assert len(means) == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40), st.integers(1, 200), st.integers(0, 2**32), st.integers(-(2**40), 2**40))
def test_blocks_are_one_stream_and_sums_are_exact(texts, samples, block, seed, size):
    tables = [size * np.arange(texts * width, dtype=np.int64).reshape(texts, width) ** 2 for width in (1, 3)]
    chosen = np.random.default_rng(seed).choice(texts, size=(samples, texts), replace=True)
    usual = significance._BLOCK
    try:
        significance._BLOCK = block
        found = resampled_sums(tables, samples, seed)
    finally:
        significance._BLOCK = usual
    for table, sums in zip(tables, found, strict=True):
        assert sums.dtype == np.int64
        assert np.array_equal(sums, table[chosen].sum(axis=1))


def test_integers_beyond_float64_are_summed_exactly():
    table = np.array([[2**53 + 1], [3]] * 5, dtype=np.int64)
    chosen = np.random.default_rng(1).choice(10, size=(20, 10), replace=True)
    exact = [sum(int(table[place, 0]) for place in row) for row in chosen]
    assert resampled_sums([table], 20, 1)[0][:, 0].tolist() == exact
    in_floats = table.astype(np.float64)[chosen].sum(axis=1)[:, 0]
    assert in_floats.astype(np.int64).tolist() != exact  # what would be lost


def test_memory_does_not_grow_with_texts_times_samples():
    table = np.ones((50_000, 4), dtype=np.int64)
    tracemalloc.start()
    try:
        sums = resampled_sums([table], 200)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (sums[0] == 50_000).all()
    assert peak < 200 * 50_000 * 8 / 2  # the array of all resamples alone would be 80 MB


@pytest.mark.parametrize(
    ("tables", "samples", "said"),
    [
        ([(3, 2), (4, 2)], 5, "same texts"),
        ([(0, 2)], 5, "at least one"),
        ([], 5, "same texts"),
        ([(3, 2)], 0, "samples"),
    ],
)
def test_what_cannot_be_resampled_is_said(tables, samples, said):
    with pytest.raises(ValueError, match=said):
        resampled_sums([np.zeros(shape, dtype=np.int64) for shape in tables], samples)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=200))
def test_estimates_are_sacrebleus(scores):
    assert estimate(np.array(scores)) == pytest.approx(estimate_ci(np.array(scores)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=100), st.floats(-50, 50))
def test_p_values_are_probabilities_and_have_no_direction(pairs, difference):
    baseline, system = np.array(pairs).T
    p = p_value(baseline, system, difference)
    assert 1 / (len(pairs) + 1) <= p <= 1
    assert p == p_value(system, baseline, -difference)
    assert p >= p_value(baseline, system, 2 * difference)


def test_a_system_is_not_better_than_itself():
    references, (baseline, _) = systems("bleu")
    result = measure_systems({"x": BLEUScorer("13a")}, [baseline, list(baseline)], references, samples=100)[1]
    assert result.p_values == {"bleu": 1.0}
    assert sacrebleus(BLEU(tokenize="13a"), references, baseline, baseline, 100)[1].p_value < 0.01  # where we differ


def test_a_better_system_is_told_from_an_equal_one():
    references, (baseline, equal, better) = systems("bleu", (0.3, 0.3, 0.2))
    _, one, two = measure_systems({"x": BLEUScorer("13a")}, [baseline, equal, better], references)
    assert one.p_values["bleu"] > 0.05
    assert two.p_values["bleu"] == pytest.approx(ONE_RESAMPLE)


def test_no_number_has_no_p_value():
    assert np.isnan(p_value(np.array([1.0, np.nan]), np.array([1.0, 2.0]), 1.0))
    assert np.isnan(p_value(np.array([1.0, 2.0]), np.array([1.0, 2.0]), float("nan")))


def test_a_resample_warns_of_nothing():
    references = ["the cat sat down"] * 9 + ["今天天气很好"]  # just not mixed; some resamples are
    scorer = BLEUScorer()
    table = scorer.statistics(references, references)
    (sums,) = resampled_sums([table], 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = resampled_scores(sums, scorer.scores_of)
    assert scores["bleu"].shape == (50,)
    with pytest.warns(UserWarning, match="mix scripts"):
        scorer.measured(table[-2:].sum(axis=0))  # a resample has not used up the warning


def test_systems_are_measured_as_each_scorer_does_it(monkeypatch):
    monkeypatch.setattr(comparison, "_BATCH", 7)  # batches change nothing
    references, predictions = systems("bleu", texts=50)
    scorers = {"bleu": BLEUScorer(), "ter": TERScorer(), "distinct": DistinctNScorer((1, 2))}
    found = measure_systems(scorers, predictions, references, samples=20)
    for texts, result in zip(predictions, found, strict=True):
        assert result.measured == {name: scorer.measure(texts, references) for name, scorer in scorers.items()}
        assert set(result.estimates) == {"bleu", "ter"}  # distinct is no sum over the texts
        assert set(result.scores) == {"bleu", "ter", "distinct_1", "distinct_2"}
    assert [set(result.p_values) for result in found] == [set(), {"bleu", "ter"}]


def test_one_system_is_not_resampled(monkeypatch):
    monkeypatch.setattr(comparison, "resampled_sums", None)
    (result,) = measure_systems({"bleu": BLEUScorer()}, [["a"]], ["a"])
    assert (result.estimates, result.p_values) == ({}, {})


class Refusing(AdditiveScorer):
    """A scorer that takes no text."""

    _columns = 0

    def _rows(self, pairs):
        raise TypeError("not these")

    _scores = _details = _signature = _rows


@pytest.mark.parametrize(
    ("scorers", "predictions", "references", "said"),
    [
        ({"mine": Refusing()}, ["a"], ["a"], "mine: not these"),
        ({"bleu": BLEUScorer()}, ["a"] * 1500, ["a"] * 1400, "bleu: 1,500 predictions but 1,400 references"),
        ({"bleu": BLEUScorer()}, [], [], "bleu: BLEU has no text"),
        ({"bleu": BLEUScorer()}, ["a"], None, "bleu: BLEU compares predictions with references"),
        ({"bleu": BLEUScorer(), "again": BLEUScorer()}, ["a"], ["a"], "again: another metric gives bleu too"),
    ],
)
def test_what_a_metric_refuses_is_said_with_its_name(scorers, predictions, references, said):
    with pytest.raises(ValueError, match=said):
        measure_systems(scorers, [predictions], references)

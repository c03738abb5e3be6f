"""Text metrics as torchmetrics: their state, its life, and counters that never saturate."""

import copy
import pickle
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics import Metric, MetricCollection

from aigc.metrics.text import (
    BLEU,
    CHRF,
    ROUGE,
    TER,
    ClassificationReport,
    DistinctN,
    ExactMatch,
    FormAccuracy,
    Perplexity,
    SelfBLEU,
)
from aigc.metrics.text.scorer import CollectionScorer
from aigc.metrics.text.text_metric import AdditiveMetric, CollectionMetric, TextMetric
from tests.unit.metrics.text_samples import ENGLISH, MIXED, POEMS, Pairs, corpora, split

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*mix scripts"),
    pytest.mark.filterwarnings("ignore:TER. most references"),
    pytest.mark.filterwarnings("ignore:The ``compute`` method"),
]
ADDITIVE: dict[str, Callable[[], AdditiveMetric]] = {
    "bleu": BLEU,
    "bleu_zh": lambda: BLEU(tokenize="zh", smooth_method="add-k", max_ngram_order=2),
    "chrf": lambda: CHRF(word_order=2),
    "ter": lambda: TER(normalized=True, asian_support=True),
    "rouge": ROUGE,
    "exact_match": ExactMatch,
    "form_accuracy": lambda: FormAccuracy("chinese_quatrain"),
}
COLLECTION: dict[str, Callable[[], CollectionMetric]] = {"distinct": DistinctN, "self_bleu": SelfBLEU}
ALL: dict[str, Callable[[], TextMetric]] = {**ADDITIVE, **COLLECTION}
REPRESENTATIVES: dict[str, Callable[[], TextMetric]] = {"bleu": BLEU, "self_bleu": SelfBLEU}
"""One of each base: sums that are added, texts that are gathered. The others differ in their scorers alone."""
LINES = [*POEMS[:6], *ENGLISH, *MIXED]
DATA: Pairs = [(LINES[place - 1], [LINES[place - 1][1:], LINES[place]][place % 3 > 1 :]) for place in range(len(LINES))]
DATA += [(POEMS[7], [POEMS[7]])]
each = pytest.mark.parametrize("build", REPRESENTATIVES.values(), ids=REPRESENTATIVES)


def feed(metric: TextMetric, pairs: Pairs) -> TextMetric:
    metric.update(*split(pairs))
    return metric


def said(metric: TextMetric) -> tuple[object, ...]:
    """All that a metric says, exactly."""
    scores = {name: float(value).hex() for name, value in metric.compute().items()}
    return scores, repr(metric.details()), metric.signature


def test_scores_are_scalars_of_float64_and_part_of_the_details() -> None:
    for build in ALL.values():
        metric = feed(build(), DATA)
        assert isinstance(metric, Metric)
        scores, details = metric.compute(), metric.details()
        for name, value in scores.items():
            assert value.dtype == torch.float64
            assert value.shape == ()
            assert details[name] == value.item()
        assert len(details) > len(scores)
        assert any(value > 0 for value in scores.values()), "something is measured"
        assert type(metric).higher_is_better is (type(metric).__name__ not in ("TER", "SelfBLEU"))


def test_the_state_is_one_row_of_int64() -> None:
    for build in ADDITIVE.values():
        metric = build()
        size = metric.sums.shape
        for pairs in (DATA[:1], DATA * 3):
            feed(metric, pairs)
            assert {name: state.dtype for name, state in metric.metric_state.items()} == {"sums": torch.int64}
            assert metric.sums.shape == size


@given(data=st.data())
@settings(max_examples=6, deadline=None)
def test_no_split_into_batches_and_no_order_changes_a_bit(data: st.DataObject) -> None:
    pairs = data.draw(corpora(size=6)) + data.draw(st.lists(st.sampled_from(DATA), min_size=2, max_size=6))
    order = data.draw(st.permutations(pairs))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pairs)), max_size=4)))
    for name, build in ALL.items():
        whole, parts = feed(build(), pairs), build()
        for start, stop in zip([0, *cuts], [*cuts, len(pairs)], strict=True):
            feed(parts, order[start:stop])
        assert said(parts) == said(whole), name


def test_a_mean_over_batches_depends_on_them() -> None:
    """A negative control of the test above: scores are no means."""
    sizes = {float(np.mean([feed(BLEU(), DATA[i : i + n]).compute()["bleu"] for i in range(0, 20, n)])) for n in (2, 5)}
    assert len(sizes) == 2


class FirstWord(CollectionScorer):
    """A measure that depends on the order of texts."""

    signature = "first"

    def _analyse(self, texts: Sequence[str]) -> tuple[dict[str, float], dict[str, object]]:
        return {"first": float(len(texts[0]))}, {"texts": texts}


class FirstWordMetric(FirstWord, CollectionMetric):
    pass


def test_a_collection_of_texts_comes_in_one_order() -> None:
    metric = FirstWordMetric()
    assert metric(["cc", "a", "b"]) == {"first": 1}
    metric.update(["a", "", "d"])
    assert metric.compute() == {"first": 0}
    assert metric.details() == {"first": 0, "texts": ["", "a", "a", "b", "cc", "d"]}


def test_any_text_of_python_can_be_collected() -> None:
    """Also an empty one, one with a zero, and half of a surrogate pair."""
    texts = ["1", "", "1\n2", "\x00", "\ud83d", "\U0010ffff", "ÿ", "1"]
    metric = FirstWordMetric()
    metric.update(texts[:3])
    metric.update([])
    metric.update(texts[3:])
    assert metric.details()["texts"] == sorted(texts)


@each
def test_reset_forgets_all(build: Callable[[], TextMetric]) -> None:
    metric = feed(build(), DATA)
    said(metric)
    fresh = build()
    metric.reset()
    if isinstance(metric, AdditiveMetric):  # SelfBLEU tells the tokeniser of the texts that it scored last
        assert metric.signature == fresh.signature
    assert said(feed(metric, DATA[3:])) == said(feed(fresh, DATA[3:]))


@each
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it)), lambda it: it.clone()])
def test_a_copy_has_a_life_of_its_own(
    build: Callable[[], TextMetric], copied: Callable[[TextMetric], TextMetric]
) -> None:
    metric = feed(build(), DATA[:9])
    before = said(metric)
    twin = copied(metric)
    assert said(twin) == before
    feed(twin, DATA[9:])
    assert said(metric) == before
    assert said(twin) == said(feed(build(), DATA)) != before


@each
def test_forward_says_the_score_of_the_batch_and_adds_it(build: Callable[[], TextMetric]) -> None:
    metric = build()
    for batch in (DATA[:3], DATA[3:5], DATA[5:]):
        assert metric(*split(batch)) == feed(build(), batch).compute()
    whole = feed(build(), DATA)
    if isinstance(metric, AdditiveMetric):
        assert metric.signature == whole.signature
    assert said(metric) == said(whole)


@each
def test_states_merge(build: Callable[[], TextMetric]) -> None:
    one, two = feed(build(), DATA[:4]), feed(build(), DATA[4:])
    said(one)  # what was computed before must not stand in the way
    one.merge_state(two)
    whole = feed(build(), DATA)
    assert one.signature.split("|")[0] == whole.signature.split("|")[0]
    assert said(one) == said(whole)


@each
def test_a_saved_state_goes_on(build: Callable[[], TextMetric]) -> None:
    metric = feed(build(), DATA[:7])
    assert metric.state_dict() == {}, "it is not part of a checkpoint unless it is asked for"
    metric.persistent(True)
    saved = metric.state_dict()
    assert list(saved) == list(metric.metric_state)
    other = feed(build(), DATA[9:10] * 2)
    said(other)
    other.load_state_dict(saved)
    assert said(other) == said(metric)
    assert said(feed(other, DATA[7:])) == said(feed(build(), DATA))


@each
def test_no_type_of_floating_numbers_changes_anything(build: Callable[[], TextMetric]) -> None:
    expected = said(feed(build(), DATA))
    for change in (
        lambda metric: metric.to(torch.float16),
        lambda metric: metric.half(),
        lambda metric: metric.to(torch.bfloat16),
        lambda metric: metric.set_dtype(torch.float16),
        lambda metric: torch.nn.ModuleList([metric]).half(),
    ):
        metric = feed(build(), DATA[:5])
        metric.compute()
        change(metric)
        feed(metric, DATA[5:])
        assert all(not state.is_floating_point() for state in metric.metric_state.values())
        assert said(metric) == expected
        change(metric)
        assert said(metric) == expected


@each
def test_a_reset_in_inference_mode_is_no_end(build: Callable[[], TextMetric]) -> None:
    metric = build()
    with torch.inference_mode():
        feed(metric, DATA[:3])
        metric.reset()
        feed(metric, DATA[:3])
    assert said(feed(metric, DATA[3:])) == said(feed(build(), DATA))


@pytest.mark.parametrize("first", [[], [("abc", ["abc"])], [("x", ["y"])]])
def test_a_collection_measures_as_its_metrics_do_alone(first: Pairs) -> None:
    """In torchmetrics, metrics share a state once the first batch left their states equal; ours never are."""
    builds = {
        **ALL,
        "lower": lambda: BLEU(lowercase=True),
        "exact_lower": lambda: ExactMatch(ignore_case=True),
        "letters": lambda: FormAccuracy("[abc]+"),
        "capitals": lambda: FormAccuracy("(?i)[abc]+"),
    }
    collection = MetricCollection({name: build() for name, build in builds.items()})
    batches = [first, [("ABC D e f", ["abc d e f"]), ("ABC", ["abc"])], DATA]
    for batch in batches:
        collection.update(*split(batch))
    together = {float(value).hex() for value in collection.compute().values()}
    alone = [feed(build(), [pair for batch in batches for pair in batch]).compute() for build in builds.values()]
    assert together == {float(value).hex() for scores in alone for value in scores.values()}
    assert alone[list(builds).index("lower")] != alone[list(builds).index("bleu")], "the options matter here"
    collection.reset()
    collection(*split(DATA))
    assert float(collection["chrf"].compute()["chrf"]) == float(feed(ADDITIVE["chrf"](), DATA).compute()["chrf"])


def test_a_collection_keeps_metrics_of_other_kinds_apart_as_well() -> None:
    perplexities = MetricCollection({"a": Perplexity(), "b": Perplexity(ignore_index=0)})
    logits = torch.arange(12.0).reshape(4, 3).sin()
    for labels in (torch.tensor([1, 2, 1, 2]), torch.tensor([0, 1, 0, 2])):
        perplexities.update(logits, labels)
    assert perplexities["a"].details()["tokens"] == 8
    assert perplexities["b"].details()["tokens"] == 6
    reports = MetricCollection(
        {"a": ClassificationReport(["x", "y"]), "b": ClassificationReport(["x", "y"], ignore_index=0)}
    )
    reports.update([1, 1], [1, 1])
    reports.update([0, 1], [0, 0])
    assert float(reports["a"].compute()["accuracy"]) == 75
    assert float(reports["b"].compute()["accuracy"]) == 100


def test_details_and_signature_follow_further_texts() -> None:
    metric = feed(BLEU(), [("a", ["b"])])
    metric.compute()
    assert metric.signature.startswith("nrefs:1|")
    feed(metric, [("a", ["b", "c"])])
    assert metric.signature.startswith("nrefs:var|")
    assert metric.details()["prediction_length"] == 2


def test_rows_that_are_no_whole_numbers_are_refused() -> None:
    class Half(AdditiveMetric):
        needs_references = False
        _columns = 1

        def _rows(self, pairs: list) -> list:
            return [[0.5] for _ in pairs]

        def _scores(self, sums: np.ndarray, pairs: int) -> dict[str, float]:
            return {"half": sums[0] / pairs}

        def _signature(self, sums: np.ndarray, references: str) -> str:
            return ""

    class Wide(Half):
        def _rows(self, pairs: list) -> list:
            return [[1, 2] for _ in pairs]

    with pytest.raises(TypeError, match=r"Half._rows must give 1 whole number .* type float64"):
        Half().update(["a"])
    with pytest.raises(TypeError, match=r"Wide._rows must give 1 whole number .* shape \(1, 2\)"):
        Wide().update(["a"])

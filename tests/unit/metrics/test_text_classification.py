"""The classification report against torchmetrics' own functions, split in any way, and what it refuses."""

import copy
import math
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from aigc.errors import InputError
from aigc.metrics.text import ClassificationReport

LABELS = ["好评", "差评", "neutral", "spam", "别的"]
ids = st.integers(0, 4)
# Often some classes occur in neither list, and some in only one of them.
corpora = st.one_of(
    st.lists(st.tuples(ids, ids), min_size=1, max_size=30),
    st.lists(st.tuples(st.sampled_from([0, 3]), st.sampled_from([0, 1])), min_size=1, max_size=10),
)


def report(predictions: Any, references: Any, **given: Any) -> ClassificationReport:
    metric = ClassificationReport(LABELS, **given)
    metric.update(predictions, references)
    return metric


def plain(metric: ClassificationReport) -> dict[str, float]:
    return {name: float(score) for name, score in metric.compute().items()}


def by_torchmetrics(predictions: torch.Tensor, references: torch.Tensor, ignored: int | None) -> dict[str, Any]:
    given = {"num_classes": len(LABELS), "ignore_index": ignored}
    scores = {
        "accuracy": multiclass_accuracy(predictions, references, average="micro", **given),
        "macro_f1": multiclass_f1_score(predictions, references, average="macro", **given),
        "weighted_f1": multiclass_f1_score(predictions, references, average="weighted", **given),
    }
    by_class = {
        "precision": multiclass_precision(predictions, references, average=None, **given),
        "recall": multiclass_recall(predictions, references, average=None, **given),
        "f1": multiclass_f1_score(predictions, references, average=None, **given),
    }
    return {
        **{name: 100 * float(score) for name, score in scores.items()},
        **{name: [100 * float(each) for each in of_classes] for name, of_classes in by_class.items()},
    }


@given(corpora, st.sampled_from([None, -100, 2]))
@settings(deadline=None, max_examples=60)
def test_scores_are_torchmetrics(corpus: list[tuple[int, int]], ignored: int | None) -> None:
    predictions, references = torch.tensor(corpus).T
    if ignored is not None:
        references[::3] = ignored
    if all(each == ignored for each in references.tolist()):
        with pytest.raises(ValueError, match="no text to measure"):
            report(predictions, references, ignore_index=ignored).compute()
        return
    metric = report(predictions, references, ignore_index=ignored)
    expected = by_torchmetrics(predictions, references, ignored)
    classes = metric.details()["classes"]
    for name in ("precision", "recall", "f1"):
        assert [classes[label][name] for label in LABELS] == pytest.approx(expected.pop(name), abs=1e-4)
    assert plain(metric) == pytest.approx(expected, abs=1e-4)  # torchmetrics computes in float32, on a scale of 0 to 1


def test_macro_is_over_the_classes_that_occur() -> None:
    """Class 0 is right, 1 is expected and 3 predicted in vain; 2 and 4 occur nowhere: scikit-learn with labels=None."""
    metric = report([0, 3], [0, 1])
    assert plain(metric) == pytest.approx({"accuracy": 50, "macro_f1": 100 / 3, "weighted_f1": 50})
    classes = metric.details()["classes"]
    assert classes["spam"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0, "predictions": 1}
    assert classes["别的"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0, "predictions": 0}
    assert metric.details()["confusion"][1] == [0, 0, 0, 1, 0]
    assert {score.dtype for score in metric.compute().values()} == {torch.float64}


@given(corpora, st.lists(st.integers(0, 30), max_size=4), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_any_split_in_any_order_gives_the_same_bits(corpus: list[tuple[int, int]], cuts: list[int], rng: Any) -> None:
    whole, parts = report(*torch.tensor(corpus).T), ClassificationReport(LABELS)
    shuffled = rng.sample(corpus, len(corpus))
    edges = [0, *sorted(min(cut, len(corpus)) for cut in cuts), len(corpus)]
    for start, end in pairwise(edges):  # some batches are empty
        parts.update([pair[0] for pair in shuffled[start:end]], [pair[1] for pair in shuffled[start:end]])
    assert plain(whole) == plain(parts)
    assert whole.details() == parts.details()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_scores_names_and_ids_say_the_same(dtype: torch.dtype) -> None:
    predicted, expected = [1, 0, 2, 4, 4], [1, 2, 2, 4, 0]
    logits = 20 * torch.nn.functional.one_hot(torch.tensor(predicted), 5).to(dtype) - 30
    first = report(logits, torch.tensor(expected)).details()
    assert first["accuracy"] == 60
    for predictions, references in [
        (torch.tensor(predicted, dtype=torch.int32), torch.tensor(expected, dtype=torch.uint8)),
        ([LABELS[each] for each in predicted], [LABELS[each] for each in expected]),
        (np.array(predicted), list(np.array(expected))),
        (logits, [LABELS[each] for each in expected]),
    ]:
        assert report(predictions, references).details() == first


def test_what_stands_at_an_ignored_reference_is_not_looked_at() -> None:
    logits = torch.eye(5)
    logits[1] = math.nan
    references = torch.tensor([0, -100, 2, 3, 0])
    metric = report(logits, references, ignore_index=-100)
    metric.update(["好评", "what?"], [1, -100])
    metric.update([0, 99], [0, -100])
    assert plain(metric)["accuracy"] == pytest.approx(100 * 4 / 6)
    assert sum(map(sum, metric.details()["confusion"])) == 6
    with pytest.raises(ValueError, match=r"references\[0\] is 'what\?'"):
        report([0], ["what?"], ignore_index=-1)


def test_table_is_aligned_on_the_screen() -> None:
    lines = report([0, 0, 3], [0, 1, 2]).table().splitlines()
    assert lines[0].split() == ["precision", "recall", "f1", "support", "predicted"]
    assert [line.split() for line in lines[1:]] == [
        ["好评", "50.00", "100.00", "66.67", "1", "2"],
        ["差评", "-", "0.00", "0.00", "1", "0"],
        ["neutral", "-", "0.00", "0.00", "1", "0"],
        ["spam", "0.00", "-", "0.00", "0", "1"],
        ["别的", "-", "-", "-", "0", "0"],
        ["accuracy", "33.33"],
        ["macro_f1", "16.67"],
        ["weighted_f1", "22.22"],
    ]
    assert {cell_len(line) for line in lines[:6]} == {cell_len(lines[0])}
    assert len({len(line) for line in lines[:6]}) > 1  # counted in characters they are not
    assert all(cell_len(line) == cell_len(lines[0][: lines[0].index("f1") + 2]) for line in lines[6:])


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_nothing_counted_is_an_error() -> None:
    metric = ClassificationReport(LABELS, ignore_index=0)
    for add in (lambda: None, lambda: metric.update([], []), lambda: metric.update([1], [0])):
        add()
        for ask in (metric.compute, metric.details, metric.table):
            with pytest.raises(ValueError, match="ClassificationReport has no text to measure"):
                ask()
    metric.update([1], [1])
    assert plain(metric)["macro_f1"] == 100
    metric.reset()
    with pytest.raises(ValueError, match="ClassificationReport has no text to measure"):
        metric.details()


def test_details_follow_the_last_update() -> None:
    metric = report([0, 1], [0, 1])
    assert metric.details()["accuracy"] == 100
    metric.update(["spam", "spam"], ["好评", "差评"])
    assert metric.details()["accuracy"] == 50
    twin = pickle.loads(pickle.dumps(metric))
    assert twin.details() == copy.deepcopy(metric).details() == metric.details()
    assert metric.signature.startswith("classes:5|macro:occurring|ignored:none|version:aigc-")
    assert list(metric.state_dict()) == []
    assert metric.metric_state["sums"].dtype == torch.int64


@pytest.mark.parametrize(
    ("predictions", "references", "error", "told"),
    [
        ([0, 1], [0], ValueError, "2 predictions but 1 reference"),
        (torch.zeros(2, 5), [0], ValueError, "2 predictions but 1 reference"),
        ([0, 5], [0, 0], ValueError, r"predictions\[1\] is 5, but the ids of 5 labels are 0 to 4"),
        ([0], [-100], ValueError, r"references\[0\] is -100, but the ids"),
        (["好评", "坏评"], ["好评", "好评"], ValueError, r"predictions\[1\] is '坏评', which is not a label"),
        (["好评"], ["nuetral"], ValueError, r"references\[0\] is 'nuetral'.*did you mean neutral"),
        (torch.zeros(1, 4), [0], ValueError, "predictions have 4 scores each, but there are 5 labels"),
        (torch.tensor([[0.0, math.nan, 0, 0, 0]]), [0], ValueError, r"predictions\[0\] has a score that is NaN"),
        (torch.zeros(1), [0], ValueError, r"predictions must be .* got float32 of shape \(1,\)"),
        (torch.zeros(1, 5, dtype=torch.int64), [0], ValueError, r"predictions must be .* int64 of shape \(1, 5\)"),
        (torch.zeros(1, 5, 2), [0], ValueError, r"predictions must be .* got float32 of shape \(1, 5, 2\)"),
        ([0], torch.zeros(1), ValueError, r"references must be .* got float32 of shape \(1,\)"),
        ([0], torch.zeros(1, 1, dtype=torch.int64), ValueError, r"references must be .* got int64 of shape \(1, 1\)"),
        ([0], torch.tensor([True]), ValueError, "references must be .* got bool"),
        ([0], torch.tensor(0), ValueError, r"references must be .* of shape \(\)"),
        ([0], [None], TypeError, r"references\[0\] must be the name of a class or its id, got None"),
        ([0, True], [0, 0], TypeError, r"predictions\[1\] must be the name of a class or its id, got True"),
        ([0.5], [0], TypeError, r"predictions\[0\] must be"),
        ("好评", ["好评"], TypeError, "predictions must be a tensor or a list of names, got '好评'"),
        (None, [0], TypeError, "predictions must be a tensor or a list of names, got None"),
    ],
)
def test_wrong_classes_are_refused_with_their_place(
    predictions: Any, references: Any, error: type[Exception], told: str
) -> None:
    metric = report([1], [1])
    with pytest.raises(error, match=told):
        metric.update(predictions, references)
    assert metric.details()["classes"]["差评"]["support"] == 1
    assert sum(map(sum, metric.details()["confusion"])) == 1


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([], r"labels is \[\]. Allowed: a list of at least two"),
        (["a"], "Allowed: a list of at least two"),
        ("ab", "Allowed: a list of at least two"),
        (None, "Allowed: a list of at least two"),
        (["a", 1], r"labels\[1\] is 1, a name must be a text"),
        (["a", "b", "a"], r"labels\[0\] and labels\[2\] are both 'a'"),
    ],
)
def test_wrong_labels_are_refused(labels: Any, told: str) -> None:
    with pytest.raises(InputError, match="ClassificationReport: .*" + told):
        ClassificationReport(labels)

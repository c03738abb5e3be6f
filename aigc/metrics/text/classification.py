"""Classification of texts: accuracy, F1, and a table of the classes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

import aigc
from aigc.metrics.distributed_metric import SumMetric
from aigc.metrics.text.class_ids import Classes, check_labels, prediction_ids, reference_ids
from aigc.metrics.text.scorer import Details, check_not_empty
from aigc.metrics.text.text_metric import as_tensors

Counts = NDArray[np.int64]


class ClassificationReport(SumMetric):
    """Accuracy, macro F1 and weighted F1 from 0 to 100, and precision, recall and F1 of each class.

    Macro F1 is the mean over the classes that occur in predictions or references; weighted F1 is the mean over the
    classes weighted by their number of references. Both equal torchmetrics' `multiclass_f1_score` with these averages.
    They are scikit-learn's with its default `labels=None`; with `labels` given, scikit-learn counts a class that occurs
    nowhere as 0 in the macro mean. A ratio 0/0 (the precision of a class that was never predicted) is 0, as in both.

    The state is the confusion matrix, references down, predictions across. Over several ranks `compute` must be called
    on each of them; one all_reduce sums the matrices.

    Args:
        labels: The names of the classes, in the order of their ids.
        ignore_index: The id of references that do not count, such as -100; null counts all.

    Raises:
        InputError: There are fewer than two labels, one is not a string, or two are the same.
    """

    higher_is_better = True

    def __init__(self, labels: Sequence[str], ignore_index: int | None = None) -> None:
        self._labels = check_labels(type(self).__name__, labels)
        self._ignore_index = ignore_index
        super().__init__(len(self._labels) ** 2)
        self._computed_counts: Counts | None = None

    def update(self, predictions: Classes, references: Classes) -> None:
        """Add texts.

        Args:
            predictions: The class of each text: ids, an integer tensor of shape (texts,); or scores, of which the
                largest counts, a floating tensor of shape (texts, classes); or names. What stands where a reference is
                ignored may be anything.
            references: The right classes: ids, an integer tensor of shape (texts,), or names.

        Raises:
            ValueError: Shapes do not fit, the numbers of predictions and references differ, a score is NaN, or there
                is no such class; the message says where.
            TypeError: Something is neither ids nor scores nor names.
        """
        expected, counted = reference_ids(references, self._labels, self._ignore_index)
        predicted = prediction_ids(predictions, self._labels, counted)
        found = multiclass_confusion_matrix(
            predicted[counted], expected[counted], num_classes=len(self._labels), validate_args=False
        )
        self.count(found.reshape(-1))
        self._computed_counts = None

    def compute(self) -> dict[str, Tensor]:
        """Return accuracy, macro_f1 and weighted_f1, scalars of float64; ValueError where no text counted."""
        self._computed_counts = self.confusion.cpu().numpy()
        return as_tensors(self._scores(self._computed_counts))

    def details(self) -> Details:
        """The scores, and over all ranks the numbers they are made of.

        `classes` has for each label its precision, recall and f1 from 0 to 100, its support (number of references) and
        its number of predictions; `confusion` has for each label, in the order of ids, the predictions by id of the
        texts that should have it.
        """
        self.compute()
        assert self._computed_counts is not None
        counts = self._computed_counts
        return {
            **self._scores(counts),
            "classes": dict(zip(self._labels, _by_class(counts), strict=True)),
            "confusion": counts.tolist(),
        }

    def table(self) -> str:
        """The numbers of each class and the scores as lines of text, with `-` where a ratio is 0/0."""
        details = self.details()
        rows = [["", "precision", "recall", "f1", "support", "predicted"]]
        for label, each in details["classes"].items():
            support, predicted = each["support"], each["predictions"]
            ratios = [
                f"{each['precision']:.2f}" if predicted else "-",
                f"{each['recall']:.2f}" if support else "-",
                f"{each['f1']:.2f}" if support or predicted else "-",
            ]
            rows.append([label, *ratios, str(support), str(predicted)])
        for name in ("accuracy", "macro_f1", "weighted_f1"):
            rows.append([name, "", "", f"{details[name]:.2f}", "", ""])
        return _align(rows)

    @property
    def confusion(self) -> Tensor:
        """The confusion matrix of this rank, int64 of shape (classes, classes)."""
        return self.counted.reshape(len(self._labels), -1).clone()

    def reset(self) -> None:
        """Forget all texts."""
        super().reset()
        self._computed_counts = None

    @property
    def signature(self) -> str:
        """How the scores are made."""
        ignored = "none" if self._ignore_index is None else self._ignore_index
        return f"classes:{len(self._labels)}|macro:occurring|ignored:{ignored}|version:aigc-{aigc.__version__}"

    def _scores(self, counts: Counts) -> dict[str, float]:
        total = int(counts.sum())
        check_not_empty(type(self).__name__, total)
        classes = _by_class(counts)
        occurring = [each["f1"] for each in classes if each["support"] or each["predictions"]]
        return {
            "accuracy": 100.0 * int(counts.trace()) / total,
            "macro_f1": math.fsum(occurring) / len(occurring),
            "weighted_f1": math.fsum(each["f1"] * each["support"] for each in classes) / total,
        }


def _by_class(counts: Counts) -> list[dict[str, Any]]:
    """Precision, recall, f1, support and number of predictions of each class, in the order of ids."""
    classes = []
    supports, predictions = counts.sum(axis=1).tolist(), counts.sum(axis=0).tolist()
    for right, support, predicted in zip(counts.diagonal().tolist(), supports, predictions, strict=True):
        classes.append(
            {
                "precision": _percent(right, predicted),
                "recall": _percent(right, support),
                "f1": _percent(2 * right, support + predicted),
                "support": support,
                "predictions": predicted,
            }
        )
    return classes


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 0.0


def _align(rows: list[list[str]]) -> str:
    """Pad columns to equal width on the screen, where a Chinese character is two wide; align the first one left."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        gaps = [" " * (width - cell_len(cell)) for width, cell in zip(widths, row, strict=True)]
        cells = [row[0] + gaps[0], *(gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

"""Measures of generated text: scores from 0 to 100, equal to the reference implementations, right for Chinese too.

The scorers (`aigc.metrics.text.bleu.BLEUScorer` and so on) need neither torch nor torchmetrics; the classes here are
torchmetrics around them, and are imported when they are asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.metrics.text.classification import ClassificationReport
    from aigc.metrics.text.metric import AdditiveMetric, CollectionMetric, TextMetric
    from aigc.metrics.text.metrics import BLEU, CHRF, ROUGE, TER, DistinctN, ExactMatch, FormAccuracy, SelfBLEU
    from aigc.metrics.text.perplexity import Perplexity

__all__ = [
    "BLEU",
    "CHRF",
    "ROUGE",
    "TER",
    "AdditiveMetric",
    "ClassificationReport",
    "CollectionMetric",
    "DistinctN",
    "ExactMatch",
    "FormAccuracy",
    "Perplexity",
    "SelfBLEU",
    "TextMetric",
]
_MODULES = {
    "AdditiveMetric": "metric",
    "ClassificationReport": "classification",
    "CollectionMetric": "metric",
    "Perplexity": "perplexity",
    "TextMetric": "metric",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'metrics')}"), name)

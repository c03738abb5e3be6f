"""Measures of generated text: scores from 0 to 100, equal to the reference implementations, also for Chinese text.

A measure is one class in one module: a scorer such as `BLEUScorer`, which needs neither torch nor torchmetrics. The
package offers the torchmetrics class of each `NameScorer` as `Name`; both take the same options. `aigc score` knows a
scorer by its `metric_name`.
"""

from typing import TYPE_CHECKING, Any

from aigc.config.exports import lazy_exports

if TYPE_CHECKING:  # the types that other packages use; a measure needs no line here
    from aigc.metrics.text.text_metric import TextMetric as TextMetric


def _as_metric(scorer: Any) -> Any:
    from aigc.metrics.text.text_metric import as_metric  # torch takes seconds to import

    return as_metric(scorer)


__getattr__, __dir__ = lazy_exports(__name__, suffix="Scorer", convert=_as_metric)

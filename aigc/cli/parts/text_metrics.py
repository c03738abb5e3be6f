"""The metrics of `aigc score` by name: every scorer of `aigc.metrics.text` that has a `metric_name`."""

from aigc.cli.parts.typed_metrics import TypedMetrics
from aigc.config.class_sources import named_classes

METRICS = TypedMetrics(
    named_classes("aigc.metrics.text", "metric_name"),
    default=("bleu", "chrf", "rouge"),
    base="aigc.metrics.text.scorer.Scorer",
)

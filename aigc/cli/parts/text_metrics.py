"""The metrics that `aigc score` knows by name."""

from aigc.cli.parts.typed_metrics import TypedMetrics

METRICS = TypedMetrics(
    {
        "bleu": "aigc.metrics.text.bleu.BLEUScorer",
        "chrf": "aigc.metrics.text.chrf.CHRFScorer",
        "ter": "aigc.metrics.text.ter.TERScorer",
        "rouge": "aigc.metrics.text.rouge.ROUGEScorer",
        "exact_match": "aigc.metrics.text.exact_match.ExactMatchScorer",
        "form_accuracy": "aigc.metrics.text.form.FormAccuracyScorer",
        "distinct": "aigc.metrics.text.distinct.DistinctNScorer",
        "self_bleu": "aigc.metrics.text.self_bleu.SelfBLEUScorer",
    },
    default=("bleu", "chrf", "rouge"),
    base="aigc.metrics.text.scorer.Scorer",
)

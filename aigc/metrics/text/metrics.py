"""The metrics: each a scorer that collects over batches and ranks. Options and meaning are the scorer's."""

from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.distinct import DistinctNScorer
from aigc.metrics.text.exact_match import ExactMatchScorer
from aigc.metrics.text.form import FormAccuracyScorer
from aigc.metrics.text.metric import AdditiveMetric, CollectionMetric
from aigc.metrics.text.rouge import ROUGEScorer
from aigc.metrics.text.self_bleu import SelfBLEUScorer
from aigc.metrics.text.ter import TERScorer


class BLEU(BLEUScorer, AdditiveMetric):
    """Corpus BLEU, sacrebleu's, with a tokeniser chosen by script: see `BLEUScorer`."""


class CHRF(CHRFScorer, AdditiveMetric):
    """Corpus chrF, sacrebleu's: see `CHRFScorer`."""


class TER(TERScorer, AdditiveMetric):
    """Corpus translation edit rate, sacrebleu's: see `TERScorer`."""


class ROUGE(ROUGEScorer, AdditiveMetric):
    """Mean ROUGE F-measures, rouge_score's, for every script: see `ROUGEScorer`."""


class ExactMatch(ExactMatchScorer, AdditiveMetric):
    """Share of predictions that equal a reference: see `ExactMatchScorer`."""


class FormAccuracy(FormAccuracyScorer, AdditiveMetric):
    """Share of predictions of a given form: see `FormAccuracyScorer`."""


class DistinctN(DistinctNScorer, CollectionMetric):
    """Share of different n-grams: see `DistinctNScorer`."""


class SelfBLEU(SelfBLEUScorer, CollectionMetric):
    """Mean BLEU of each text against all the others: see `SelfBLEUScorer`."""

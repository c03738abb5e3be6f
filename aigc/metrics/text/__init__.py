"""Measures of generated text: scores from 0 to 100, equal to the reference implementations, right for Chinese too."""

from aigc.metrics.text.base import TextMetric
from aigc.metrics.text.bleu import BLEU
from aigc.metrics.text.chrf import CHRF
from aigc.metrics.text.distinct import DistinctN
from aigc.metrics.text.form import FormAccuracy
from aigc.metrics.text.perplexity import Perplexity
from aigc.metrics.text.rouge import ROUGE

__all__ = ["BLEU", "CHRF", "ROUGE", "DistinctN", "FormAccuracy", "Perplexity", "TextMetric"]

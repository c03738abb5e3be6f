"""Exact match: the share of predictions that equal a reference."""

import json
import re
from collections.abc import Sequence

import regex

import aigc
from aigc.errors import InputError
from aigc.metrics.text.scorer import Integers
from aigc.metrics.text.share import ShareScorer

# Unicode counts some of what is punctuation in ASCII as symbols; full-width forms go with theirs.
_PUNCTUATION = regex.compile(r"[\p{P}$+<=>^`|~＄＋＜＝＞＾｀｜～]")
_DIGITS = regex.compile(r"\p{Nd}")


class ExactMatchScorer(ShareScorer):
    """Share of predictions that are equal to one of their references, in percent.

    It has the options of the metric `exact_match` of Hugging Face evaluate, and its results with one reference and
    ASCII text. Ignored parts are removed from predictions and references in the order of the arguments below. As there,
    texts that become empty are equal only if they were equal before, and spaces at the ends count. Unlike evaluate's,
    punctuation and digits are those of all scripts, full-width ones too.

    Args:
        regexes_to_ignore: Regular expressions of Python's `re`; what they match is removed, one after the other.
        ignore_case: Compare lower-cased texts.
        ignore_punctuation: Remove punctuation, and the symbols that string.punctuation has.
        ignore_numbers: Remove decimal digits.

    Raises:
        InputError: An expression is not valid, or is not a string.
    """

    metric_name = "exact_match"

    def __init__(
        self,
        regexes_to_ignore: Sequence[str] | None = None,
        ignore_case: bool = False,
        ignore_punctuation: bool = False,
        ignore_numbers: bool = False,
    ) -> None:
        self._expressions = _compile(self.name, () if regexes_to_ignore is None else regexes_to_ignore)
        self._ignore_case = ignore_case
        self._ignore_punctuation = ignore_punctuation
        self._ignore_numbers = ignore_numbers
        super().__init__()

    def _signature(self, sums: Integers, references: str) -> str:
        ignored = json.dumps([each.pattern for each in self._expressions], ensure_ascii=False)
        parts = [
            references,
            f"case:{'lc' if self._ignore_case else 'mixed'}",
            f"punct:{'no' if self._ignore_punctuation else 'yes'}",
            f"numbers:{'no' if self._ignore_numbers else 'yes'}",
            f"ignored:{ignored}" if self._expressions else "",
            f"version:aigc-{aigc.__version__}",
        ]
        return "|".join(filter(None, parts))

    def _counts(self, text: str, references: list[str]) -> bool:
        if text in references:
            return True
        reduced = self._reduce(text)
        return bool(reduced) and any(reduced == self._reduce(reference) for reference in references)

    def _reduce(self, text: str) -> str:
        for expression in self._expressions:
            text = expression.sub("", text)
        if self._ignore_case:
            text = text.lower()
        if self._ignore_punctuation:
            text = _PUNCTUATION.sub("", text)
        if self._ignore_numbers:
            text = _DIGITS.sub("", text)
        return text


def _compile(who: str, patterns: Sequence[str]) -> list[re.Pattern[str]]:
    if isinstance(patterns, str) or not isinstance(patterns, Sequence):
        raise InputError(f"{who}: regexes_to_ignore is {patterns!r}. Allowed: a list of regular expressions, or null.")
    compiled = []
    for index, pattern in enumerate(patterns):
        if not isinstance(pattern, str):
            raise InputError(f"{who}: regexes_to_ignore[{index}] is {pattern!r}. Allowed: a regular expression.")
        try:
            compiled.append(re.compile(pattern))
        except (re.error, OverflowError) as error:  # it says at which position
            raise InputError(
                f"{who}: regexes_to_ignore[{index}] {pattern!r} is not a valid pattern: {error}."
            ) from error
    return compiled

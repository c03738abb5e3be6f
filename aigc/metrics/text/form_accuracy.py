"""Form accuracy: the share of texts of a given form."""

from collections.abc import Callable

import regex

import aigc
from aigc.config.problems import choices
from aigc.errors import InputError
from aigc.metrics.text.scorer import Integers
from aigc.metrics.text.share import ShareScorer

FORMS = {
    # Four lines of five characters: 床前明月光，疑是地上霜。举头望明月，低头思故乡。
    "chinese_quatrain": r"(?:\p{Han}{5}，\p{Han}{5}。){2}",
    # Four lines of seven characters.
    "chinese_seven_quatrain": r"(?:\p{Han}{7}，\p{Han}{7}。){2}",
    # One line of five characters, without punctuation.
    "chinese_couplet_line": r"\p{Han}{5}",
}
"""Named forms of verse: regular expressions that a whole text must match."""


class FormAccuracyScorer(ShareScorer):
    r"""Share of predictions that match a regular expression from their first character to their last, in percent.

    Args:
        pattern: A named form (chinese_quatrain, chinese_seven_quatrain, chinese_couplet_line), or a regular expression
            of the `regex` module, which knows scripts as in `\p{Han}`; in Python also a function from text to bool.

    Raises:
        InputError: The pattern is neither a named form nor a valid regular expression.
    """

    metric_name = "form_accuracy"
    needs_references = False
    of_whole_texts = True

    def __init__(self, pattern: str | Callable[[str], bool]) -> None:
        if callable(pattern):
            self._form = getattr(pattern, "__name__", type(pattern).__name__)
            self._fits = pattern
        else:
            self._form = pattern
            self._fits = _compile(pattern).fullmatch
        super().__init__()

    def _counts(self, text: str, references: list[str]) -> bool:
        return bool(self._fits(text))

    def _signature(self, sums: Integers, references: str) -> str:
        return f"form:{self._form}|version:aigc-{aigc.__version__}"


def _compile(pattern: str) -> "regex.Pattern[str]":
    # A word with underscores is a valid expression that matches only itself: probably a misspelt form.
    if pattern not in FORMS and "_" in pattern and pattern.isidentifier():
        raise InputError(f"FormAccuracy: there is no form {pattern!r}. {choices(pattern, FORMS)}")
    try:
        return regex.compile(FORMS.get(pattern, pattern), regex.VERSION1)
    except regex.error as error:
        raise InputError(
            f"FormAccuracy: {pattern!r} is not a valid pattern: {error}. Named forms: {', '.join(FORMS)}."
        ) from error

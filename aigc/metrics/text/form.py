"""How many generated texts have the form they should have."""

import difflib
from collections.abc import Sequence

import regex

import aigc
from aigc.errors import InputError
from aigc.metrics.text.base import References, TextMetric, check_texts, pair_up
from aigc.metrics.text.forms import FORMS


class FormAccuracy(TextMetric):
    r"""Share of predictions that match a regular expression from their first character to their last, in percent.

    Args:
        pattern: A named form (chinese_quatrain, chinese_seven_quatrain, chinese_couplet_line), or a regular expression
            of the `regex` module, which knows scripts as in `\p{Han}`.

    Raises:
        InputError: The pattern is neither a named form nor a valid regular expression.
    """

    def __init__(self, pattern: str) -> None:
        self._name = pattern
        self._pattern = _compile(pattern)
        self.reset()

    def update(self, predictions: Sequence[str], references: References | None = None) -> None:
        """Add texts; references are checked for their number and not looked at."""
        texts = check_texts(predictions, "predictions")
        if references is not None:
            pair_up(texts, references)
        self._matches += sum(self._pattern.fullmatch(text) is not None for text in texts)
        self._count += len(texts)

    def compute(self) -> dict[str, float]:
        """Return {"form_accuracy": score}; NaN where nothing was added."""
        return {"form_accuracy": 100.0 * self._matches / self._count if self._count else float("nan")}

    def reset(self) -> None:
        """Forget all texts."""
        self._matches = 0
        self._count = 0

    @property
    def signature(self) -> str:
        """How the score is made."""
        return f"form:{self._name}|version:aigc-{aigc.__version__}"


def _compile(pattern: str) -> "regex.Pattern[str]":
    # A word with underscores is a valid expression that matches only itself: surely a slip in a form's name.
    if pattern not in FORMS and "_" in pattern and pattern.isidentifier():
        close = difflib.get_close_matches(pattern, FORMS, n=1)
        nearest = f" Nearest: {close[0]}." if close else ""
        raise InputError(
            f"FormAccuracy: there is no form {pattern!r}.{nearest} Allowed: {', '.join(FORMS)}, or a pattern."
        )
    try:
        return regex.compile(FORMS.get(pattern, pattern), regex.VERSION1)
    except regex.error as error:
        raise InputError(
            f"FormAccuracy: {pattern!r} is no valid pattern: {error}. Named forms: {', '.join(FORMS)}."
        ) from error

"""Python syntax: the share of texts that are Python."""

import ast
import sys
import textwrap
import warnings

import aigc
from aigc.metrics.text.inputs import Pair
from aigc.metrics.text.scorer import AdditiveScorer, Details, Integers


class PythonSyntaxScorer(AdditiveScorer):
    """Share of predictions that Python can parse, in percent.

    A text may be a module, or the body of a function, indented or not. Nothing is run. An empty text is not Python.
    """

    metric_name = "python_syntax"
    needs_references = False

    @property
    def _columns(self) -> int:
        return 1  # texts that can be parsed

    def _rows(self, pairs: list[Pair]) -> list[list[int]]:
        return [[parses(text)] for text, _ in pairs]

    def _scores(self, sums: Integers, pairs: int) -> dict[str, float]:
        return {"python_syntax": 100.0 * int(sums[0]) / pairs}

    def _details(self, sums: Integers, pairs: int) -> Details:
        return {"parsed": int(sums[0]), "predictions": pairs}

    def _signature(self, sums: Integers, references: str) -> str:
        return f"python:{sys.version_info[0]}.{sys.version_info[1]}|version:aigc-{aigc.__version__}"


def parses(text: str) -> bool:
    """Return whether a text is a module, or the body of a function."""
    body = textwrap.indent(textwrap.dedent(text), "    ")
    return bool(text.strip()) and (_parses(text) or _parses(f"async def f():\n{body}\n"))


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():  # of escapes in strings, say
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # MemoryError is that of nested brackets
        return False
    return True

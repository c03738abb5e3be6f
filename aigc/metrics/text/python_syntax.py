"""Python syntax: the share of texts that are Python."""

import ast
import sys
import textwrap
import warnings

import aigc
from aigc.metrics.text.scorer import Integers
from aigc.metrics.text.share import ShareScorer


class PythonSyntaxScorer(ShareScorer):
    """Share of predictions that Python can parse, in percent.

    A text may be a module, or the body of a function, indented or not. Nothing is run. An empty text is not Python.
    """

    metric_name = "python_syntax"
    needs_references = False
    counted_as = "parsed"

    def _counts(self, text: str, references: list[str]) -> bool:
        return parses(text)

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

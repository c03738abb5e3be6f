"""Python syntax."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.metrics.text import PythonSyntax
from aigc.metrics.text.python_syntax import parses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1\n", True),
        ("    return x\n", True),
        ("    y = 2\n    return y + await z", True),
        ("return x", True),
        ("class A: pass", True),
        ("def f(:", False),
        ("床前明月光，疑是地上霜", False),
        ("", False),
        ("  \n", False),
        ("(" * 5000, False),
        ("\0", False),
    ],
)
def test_modules_and_bodies_of_functions_are_python(text, expected):
    assert parses(text) is expected


@given(st.text())
def test_any_text_gives_an_answer(text):
    assert parses(text) in (True, False)


def test_the_score_is_the_share():
    metric = PythonSyntax()
    metric.update(["x = 1", "x ="], ["", ""])
    assert float(metric.compute()["python_syntax"]) == 50.0

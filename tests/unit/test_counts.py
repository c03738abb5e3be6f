"""A count and its noun in messages."""

import ast
import re
from pathlib import Path

import pytest

import aigc
from aigc.printing import plural, shortened

ADJECTIVES = "distinct|fixed|held-out|train|training|validation|whole"
NOUNS = "GPUs|epochs|errors|examples|files|images|prompts|ranks|rows|steps(?! its)|texts|trials|values"
COUNTED = re.compile(rf" (?:(?:{ADJECTIVES}) )?(?:{NOUNS})\b")


@pytest.mark.parametrize(
    ("number", "noun", "written"),
    [
        (0, "image", "0 images"),
        (1, "training row", "1 training row"),
        (2, "epoch", "2 epochs"),
        (2500, "class", "2,500 classes"),
        (3, "batch", "3 batches"),
    ],
)
def test_a_number_and_its_noun_agree(number, noun, written):
    assert plural(number, noun) == written


def test_a_long_text_is_shortened_to_the_length_asked_for():
    assert shortened("x" * 60, 60) == "x" * 60
    assert shortened("x" * 61, 60) == "x" * 57 + "..."


def bare_counts(source):
    """Yield the line of each f-string in which the plural of a noun follows a value that may be 1."""
    for node in ast.walk(ast.parse(source)):
        for value, text in zip(node.values, node.values[1:], strict=False) if isinstance(node, ast.JoinedStr) else ():
            if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                fixed = ast.unparse(value.value).strip("_").isupper()
                if not fixed and COUNTED.match(text.value):
                    yield value.lineno


def test_no_message_has_a_plural_after_a_number_that_may_be_one():
    found = {
        path: list(bare_counts(path.read_text(encoding="utf-8"))) for path in Path(aigc.__file__).parent.rglob("*.py")
    }
    assert {str(path): lines for path, lines in found.items() if lines} == {}


def test_a_bare_plural_would_be_seen():
    assert list(bare_counts('f"{count:,} images"')) == [1]
    assert list(bare_counts('f"{_MOST} images of {name}"')) == []

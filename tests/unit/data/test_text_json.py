"""JSON files in every layout that people have give the same examples."""

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats import reader_of
from aigc.errors import InputError

ROWS: list[dict[str, Any]] = [
    {"instruction": "一", "input": "", "output": "甲\n乙"},
    {"instruction": "二", "input": None, "output": "}, {"},
    {"instruction": "三", "input": [1, {"output": "x"}], "output": "丙"},
]
ALPACA = Layout(prompt_column="instruction", completion_column="output")
PAIRS = [Example(row["output"], prompt=row["instruction"]) for row in ROWS]
LAYOUTS = {
    "array": json.dumps(ROWS),
    "pretty array": json.dumps(ROWS, indent=2, ensure_ascii=False),
    "lines": "".join(json.dumps(row) + "\n" for row in ROWS),
    "pretty objects": "\n\n".join(json.dumps(row, indent=1) for row in ROWS),
    "one list in an object": json.dumps({"version": 1, "license": ["MIT"], "data": ROWS}, indent=1),
    "columns": json.dumps({"instruction": ["一", "二", "三"], "output": [row["output"] for row in ROWS], "n": 3}),
    "columns of pandas": json.dumps(
        {name: {str(number): row[name] for number, row in enumerate(ROWS)} for name in ("instruction", "output")}
    ),
}


def read(path: Path, layout: Layout | None = None) -> list[Example]:
    return list(reader_of(path).read(path, layout or Layout()))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_same_examples(layout: str, write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aigc")
    assert read(write("a.json", LAYOUTS[layout]), ALPACA) == PAIRS
    assert read(write("a.json.gz", gzip.compress(b"\xef\xbb\xbf" + LAYOUTS[layout].encode())), ALPACA) == PAIRS
    assert ("the rows are those of the list 'data' in it" in caplog.text) == (layout == "one list in an object")


def test_of_several_lists_the_columns_say_which(write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aigc")
    content = json.dumps({"images": [{"id": 1, "file": "a.png"}], "licenses": [{"name": "MIT"}], "annotations": ROWS})
    assert read(write("several.json", content), ALPACA) == PAIRS
    assert "the rows are those of the list 'annotations' in it" in caplog.text


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1), st.sampled_from([None, 2]))
def test_texts_come_back_as_they_were_written(tmp_path: Path, texts: list[str], indent: int | None) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"text": text} for text in texts], indent=indent), encoding="utf-8")
    assert read(path) == [Example(text) for text in texts]


def test_one_object_with_the_column_is_one_row_and_no_rows_are_none(write) -> None:
    assert read(write("a.json", '{"text": "a", "list": [{"text": "b"}]}')) == [Example("a")]
    for nothing in ("", " \n", "[]"):
        assert read(write("a.json", nothing)) == []


def test_null_texts_are_empty_ones(write) -> None:
    assert read(write("a.json", '[{"text": null}, {"text": "a"}]')) == [Example(""), Example("a")]
    assert read(write("a.jsonl", '{"text": NaN}\n')) == [Example("")]
    layout = Layout(prompt_column="q", completion_column="a")
    assert read(write("a.jsonl", '{"q": null, "a": "b"}\n'), layout) == [Example("b", prompt="")]


BAD = [
    ("a.json", '[{"text": "a"},\n {"text": "b"},]', r"a\.json, line 2, column \d+: not JSON: "),
    ("a.json", '{"text": "a"}\n{"text": ', r"a\.json, line 2, column \d+: not JSON: Expecting value"),
    ("a.json", '{"text": "a"},\n{"text": "b"}', r"a\.json, line 1, column 14: not JSON"),
    ("a.json", "[" * 100_000, "not JSON"),
    ("a.json", '[{"a": 1,\n  "b": ' + "9" * 5000 + "}]", r"a\.json, line 2, column 8: a number of 5,000 digits"),
    (
        "a.jsonl",
        '{"text": "a"}\n{"text": ' + "9" * 5000 + "}",
        r"a\.jsonl, line 2, column 10: a number of 5,000 digits",
    ),
    ("a.json", '[{"text": "a"}, ["b"]]', r"a\.json, item 2: a list where an object is needed, like"),
    ("a.json", '["a"]', "item 1: a string where an object is needed"),
    ("a.json", '"a" "b"', "line 1: a string where an object is needed"),
    ("a.json", '{"text": "a"}\n\n{"tex": "b"}', "line 3: no column 'text'; columns: tex. Did you mean 'tex'"),
    (
        "a.json",
        '{"train": [{"text": "a"}], "test": [{"text": "b"}]}',
        "several lists of objects are in it: train, test, of which train, test have the columns text",
    ),
    ("a.json", '{"a": [{"b": "a"}], "c": [{"d": "b"}]}', "a, c, of which none has the columns text"),
    ("a.json", '{"rows": [{"txt": "a"}]}', "'rows', item 1: no column 'text'"),
    ("a.json", '[{"text": "a", "text": "b"}]', "item 1: 'text' is there several times"),
    ("a.jsonl", '{"text": "a"}\n{"text": "a", "text": "b"}\n', "line 2: 'text' is there several times"),
    ("a.json", '[{"text": "\\ud800"}]', r"item 1: \\ud800 is half of a surrogate pair"),
    ("a.json", "<!doctype html><p>Not found", r"not JSON: .* It is an HTML page, by its first bytes\."),
    ("a.jsonl", "<html>Not found", r"not JSON: .* It is an HTML page"),
    ("a.jsonl", '[\n  {"text": "a"}\n]', r"line 1, .*name an array of objects \.json"),
    (
        "a.jsonl",
        '[{"text": "a"}, {"text": "b"}]\n',
        r"line 1: a list .*name an array of objects \.json",
    ),
    ("a.jsonl", '{\n  "text": "a"\n}', r"line 1, .*name another JSON file \.json"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_bad_json_is_one_message_that_says_where(write, name: str, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(write(name, content))
    assert str(caught.value).count("\n") == 0


def test_repeated_keys_that_are_not_read_do_no_harm(write) -> None:
    assert read(write("a.jsonl", '{"n": 1, "n": 2, "text": "a", "more": {"text": "b", "text": "c"}}')) == [Example("a")]

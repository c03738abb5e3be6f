"""Readers give back what was written, and say where a file is wrong."""

import csv
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.data.text import TextData
from aigc.data.text.examples import Example, Layout
from aigc.data.text.formats import reader_of
from aigc.errors import InputError

characters = st.characters(exclude_categories=["Cs"])
texts = st.text(characters, min_size=1)
plain = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
one_line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\t"), min_size=1)
PAIR = Layout(prompt_column="問", completion_column="answer", separator=" → ")


def read(path: Path, layout: Layout | None = None) -> list[Example]:
    return list(reader_of(path).read(path, layout or Layout()))


def pairs(rows: list[tuple[str, str]]) -> list[Example]:
    return [Example(answer, prompt=question + " → ") for question, answer in rows]


@given(st.lists(st.tuples(texts, texts)))
def test_jsonl_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"問": q, "answer": a, "n": 1}) + "\n" for q, a in rows), encoding="utf-8")
    assert read(path, PAIR) == pairs(rows)


@given(st.lists(st.tuples(plain, plain)))
def test_csv_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:  # with a byte order mark, as Excel writes it
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("answer", "問"), *((a, q) for q, a in rows)])
    assert read(path, PAIR) == pairs(rows)


@given(st.lists(st.tuples(one_line, one_line)))
def test_tsv_rows_come_back_with_their_quotation_marks(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("問\tanswer\n" + "".join(f'{q}\t"{a}\n' for q, a in rows), encoding="utf-8", newline="")
    assert read(path, PAIR) == pairs([(q, f'"{a}') for q, a in rows])


@settings(max_examples=30)
@given(st.lists(st.tuples(texts, texts)))
def test_parquet_rows_come_back_as_they_were_written(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    path = tmp_path / "a.parquet"
    table = {"問": pa.array([q for q, _ in rows], pa.string()), "answer": pa.array([a for _, a in rows], pa.string())}
    pq.write_table(pa.table(table), path)
    assert read(path, PAIR) == pairs(rows)


@given(st.lists(one_line, min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_txt_lines_come_back_with_either_line_end(tmp_path: Path, lines: list[str], end: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("".join(line + end for line in lines).encode("utf-8-sig"))
    assert [e.text for e in read(path)] == lines


def test_a_text_file_has_lines_paragraphs_or_is_one_document(write) -> None:
    path = write("詩 集/a b.txt", "一\r\n二\r\n \r\n\r\n三\r\n")
    assert [e.text for e in read(path, Layout(document="line"))] == ["一", "二", " ", "", "三"]
    assert [e.text for e in read(path, Layout(document="paragraph"))] == ["一\n二", "三"]
    assert [e.text for e in read(path, Layout(document="file"))] == ["一\n二\n \n\n三\n"]


def test_the_separator_belongs_to_the_prompt(write) -> None:
    path = write("a.tsv", "upper\tlower\n天\t地\n")
    layout = Layout(prompt_column="upper", completion_column="lower", separator="，")
    assert read(path, layout) == [Example("地", prompt="天，")]


def test_large_csv_fields_are_read(write) -> None:
    assert read(write("a.csv", "text\n" + "x" * 300_000))[0].text == "x" * 300_000


GBK = "text\n好\n".encode("gb18030")
BAD = [
    ("a.txt", "一\n二".encode() + b"\xb0\n", r"a.txt, line 2: not UTF-8: byte 0xB0 at offset 7\..*iconv"),
    ("a.csv", GBK, "line 2: not UTF-8: byte 0xBA at offset 5"),
    ("a.jsonl", '{"text": "a"}\n{"text": 3}\n', "line 2: column 'text' holds a number where a string is needed"),
    ("a.jsonl", '{"text": ["a"]}\n', "line 1: column 'text' holds a list"),
    ("a.jsonl", '{"text": true}\n', "line 1: column 'text' holds a boolean"),
    (
        "a.jsonl",
        '{"text": "a"}\n{"tex": "a", "n": 1}\n',
        "line 2: no column 'text'; columns: tex, n. Did you mean 'tex'",
    ),
    ("a.jsonl", '{"text": "a"}\n\n{"text": "a" "b"}\n', "line 3, column 14: not JSON: Expecting ',' delimiter"),
    ("a.jsonl", '{"text": "a', "line 1, column 10: not JSON: Unterminated string"),
    ("a.jsonl", '["a"]\n', 'line 1: a list where an object is needed, like {"text": "..."}'),
    ("a.jsonl", '"a"\n', "line 1: a string where an object is needed"),
    ("a.jsonl", "[" * 100_000, "line 1, column 1: not JSON"),
    ("a.jsonl", '{"text": "\\ud800"}\n', r"line 1: \\ud800 is half of a surrogate pair"),
    ("a.csv", "title,Text\na,b\n", "line 1: no column 'text'; columns: title, Text. Did you mean 'Text'"),
    ("a.csv", "", "line 1: no column 'text'; columns: none"),
    ("a.csv", '"two\nlines",n\na,b\n', r"line 1: no column 'text'; columns: 'two\\nlines', n\."),
    ("a.csv", 'text,n\na,1\n"b,2\n', "line 3: not CSV: unexpected end of data"),
    ("a.csv", "text,n\na,1\nb\n", r"line 3: 1 fields where the header has 2: \['text', 'n'\]"),
    ("a.tsv", "text\tn\na\tb\tc\n", "line 2: 3 fields where the header has 2"),
    ("a.tsv", 'n\ttext\n1\t"a\nb"\n', r"line 3: 1 fields .* in quotation marks are read in \.csv files"),
    ("a.parquet", b"PAR1 and nothing else", "a.parquet: not a whole parquet file: "),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(BAD)])
def test_bad_input_is_one_message_that_says_where(write, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(write(name, content))
    assert str(caught.value).count("\n") == 0
    assert "a." in str(caught.value)


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.999])
def test_a_truncated_parquet_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [str(i) for i in range(5000)]}), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=re.escape(f"{path}: not a whole parquet file")):
        read(path)


@pytest.mark.parametrize(
    ("values", "kind"), [(pa.array([1, 2]), "a number"), (pa.array([["a"]]), "a list"), (pa.array([b"a"]), "bytes")]
)
def test_a_parquet_value_that_is_no_string_is_named_with_its_row(tmp_path: Path, values: pa.Array, kind: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": values}), path)
    with pytest.raises(InputError, match=rf"row \d: column 'text' holds {kind}"):
        read(path)


def test_columns_that_contradict_each_other_are_refused() -> None:
    for columns in ({"prompt_column": "a"}, {"completion_column": "b"}):
        with pytest.raises(InputError, match="set both or neither"):
            TextData("a.txt", **columns)
    with pytest.raises(InputError, match="not all of them"):
        TextData("a.txt", text_column="t", prompt_column="a", completion_column="b")
    with pytest.raises(InputError, match="allowed: line, paragraph, file"):
        Layout(document="page")

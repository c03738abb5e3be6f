"""Files as people have them: packed, from other systems, with unclear columns, in folders full of other things."""

import gzip
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.sources import Example, Layout, open_source, read_corpus
from aigc.data.text.formats import reader_of
from aigc.data.text.objectives import Causal
from aigc.data.text.streams import open_stream
from aigc.errors import InputError

LINES = "春眠不觉晓\n处处闻啼鸟\n"
CONTENT = {
    ".txt": LINES,
    ".jsonl": '{"text": "春眠不觉晓"}\n{"text": "处处闻啼鸟"}\n',
    ".json": '[{"text": "春眠不觉晓"}, {"text": "处处闻啼鸟"}]',
    ".csv": 'text,n\n春眠不觉晓,1\n"处处闻啼鸟",2\n',
    ".tsv": "n\ttext\n1\t春眠不觉晓\n2\t处处闻啼鸟\n",
}


def texts(path: Path | str) -> list[str]:
    """The texts of a corpus, which a stream has as well."""
    found = [example.text for example in read_corpus(open_source(str(path)), Layout()).examples]
    assert [example.text for example in open_stream(str(path), Layout(), Causal()).examples()] == found
    return found


@pytest.mark.parametrize("suffix", [*CONTENT, ".parquet"])
def test_every_format_is_read_packed_as_well(suffix: str, write, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pq.write_table(pa.table({"text": LINES.split()}), tmp_path / "a.parquet")
    else:
        write(f"a{suffix}", CONTENT[suffix])
    plain = tmp_path / f"a{suffix}"
    packed = write(f"packed/a{suffix.upper()}.gz", gzip.compress(plain.read_bytes()))
    assert texts(packed) == texts(plain) == LINES.split()
    assert texts(packed.parent) == LINES.split()
    assert open_source(str(packed)).fingerprint() != open_source(str(plain)).fingerprint()


@pytest.mark.parametrize("suffix", CONTENT)
def test_classic_mac_line_ends_are_line_ends(suffix: str, write) -> None:
    assert texts(write(f"a{suffix}", CONTENT[suffix].replace("\n", "\r"))) == LINES.split()


def test_a_folder_is_read_without_what_is_hidden_and_says_what_it_leaves_out(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number, suffix in enumerate(CONTENT):
        write(f"d/{number}{suffix}", CONTENT[suffix])
    for stale in (".ipynb_checkpoints/a-checkpoint.jsonl", ".git/b.txt", "@eaDir/c.csv", "__MACOSX/d.txt", "~$e.csv"):
        write(f"d/{stale}", "stale")
    write("d/README.md", "# Poems")
    write("d/dataset_info.json", "{}")
    write("d/0.txt.gz", gzip.compress(CONTENT[".txt"].encode()))  # the same file once more
    caplog.set_level(logging.INFO, "aigc")
    assert texts(tmp_path / "d") == 5 * LINES.split()
    said = [one for one in caplog.messages if "left out" in one]
    assert said == [f"{tmp_path}/d: left out 3 files: .json 1, .md 1, .txt.gz 1"]


def test_a_pattern_leaves_out_what_is_hidden_below_it(write, tmp_path: Path) -> None:
    write(".d/a.txt", "one")
    write(".d/.ipynb_checkpoints/a-checkpoint.txt", "stale")
    write(".d/.b.txt", "stale")

    def found(pattern: str) -> list[str]:
        return [example.text for example in open_stream(pattern, Layout(), Causal()).examples()]

    assert found(f"{tmp_path}/.d/*.txt") == found(f"{tmp_path}/.d/**/*.txt") == ["one"]
    assert texts(tmp_path / ".d/.b.txt") == ["stale"]  # a file that is named is read


def test_links_are_followed_and_one_to_nothing_is_named(write, tmp_path: Path) -> None:
    write("blobs/0a1b", "one\n")
    write("elsewhere/b.txt", "two\n")
    write("d/c.txt", "three\n")
    (tmp_path / "d/a.txt").symlink_to("../blobs/0a1b")
    (tmp_path / "d/bs").symlink_to("../elsewhere")
    (tmp_path / "d/loop").symlink_to("..")
    assert texts(tmp_path / "d") == ["one", "two", "three"]
    (tmp_path / "blobs/0a1b").unlink()
    for open_it in (open_source, lambda path: open_stream(path, Layout(), Causal())):
        with pytest.raises(InputError, match=r"d/a\.txt: cannot be read: No such file"):
            open_it(str(tmp_path / "d")).fingerprint()


def parquet(path: Path, names: list[str], *columns: list[str | None]) -> Path:
    pq.write_table(pa.table([pa.array(one, pa.string()) for one in columns], names=names), path)
    return path


def test_a_repeated_column_is_named(write, tmp_path: Path) -> None:
    for path in (
        write("a.csv", "text,text\na,b\n"),
        write("a.tsv", "text\tn\ttext\na\t1\tb\n"),
        parquet(tmp_path / "a.parquet", ["text", "text"], ["a"], ["b"]),
        write("a.csv.gz", gzip.compress(b"text,text\na,b\n")),
    ):
        with pytest.raises(InputError, match=rf"{path.name}.*: the column 'text' is there 2 times; columns: text, "):
            texts(path)
    assert texts(write("b.csv", "n,n,text,,\n1,2,a,,\n")) == ["a"]  # others do no harm
    assert texts(parquet(tmp_path / "b.parquet", ["n", "n", "text"], ["1"], ["2"], ["a"])) == ["a"]


@pytest.mark.parametrize(
    ("name", "header", "shown"),
    [
        ("a.csv", "id;text", ";"),
        ("a.csv", "id\ttext", "tabs"),
        ("a.tsv", "id,text,n", ","),
        ("a.csv", "id|text", r"\|"),
        ("a.csv", "id;text,n", ";"),
    ],
)
def test_another_separator_is_named(name: str, header: str, shown: str, write) -> None:
    with pytest.raises(InputError, match=rf"line 1: the fields seem to be separated by {shown}, in the header"):
        texts(write(name, f"{header}\n1{header[2]}a\n"))
    assert read_corpus(open_source(str(write("b.csv", "a;b\nc\n"))), Layout("a;b")).examples == [Example("c")]


def test_another_separator_of_quoted_fields_is_named(write) -> None:
    with pytest.raises(InputError, match="line 1: the fields seem to be separated by ;, in the header"):
        texts(write("a.csv", '"id";"text"\n"1";"a"\n'))
    for header in ('"id"x,text', '"text"x'):  # commas, or none of them: what is wrong is the quotation mark
        with pytest.raises(InputError, match="line 1: not CSV: "):
            texts(write("a.csv", f"{header}\n1,a\n"))


def test_null_cells_are_empty_texts_that_are_counted(write, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aigc")
    path = parquet(tmp_path / "a.parquet", ["text"], ["a", None, "b"])
    corpus = read_corpus(open_source(str(path)), Layout())
    assert ([one.text for one in corpus.examples], corpus.skipped) == (["a", "b"], 1)
    assert f"{path}: 1 of 3 examples have no text to learn and are left out" in caplog.messages


@pytest.mark.parametrize(
    ("rows", "warned"),
    [
        (['id\ttext', '1\t"a ""b"""', '2\t"c"', '3\td'], True),
        (['id\ttext', '1\t"a" and b', '2\tc', '3\t"d"'], False),
        (["id\ttext", "1\ta", "2\t"], False),
        (["id\ttext"], False),
    ],
)  # fmt: skip
def test_a_tsv_whose_fields_are_mostly_quoted_is_said(
    rows: list[str], warned: bool, write, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("a.tsv", "\n".join(rows))
    found = [example.text for example in reader_of(path).read(path, Layout())]
    assert found == [row.split("\t")[1] for row in rows[1:]]
    assert ("quotation marks" in caplog.text) == warned


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.csv.gz"])
def test_a_file_of_another_kind_is_named_whatever_its_ending(name: str, write) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    for content, what in {pointer: "a Git LFS pointer", b"%PDF-1.7\n": "a PDF document"}.items():
        packed = gzip.compress(content) if name.endswith(".gz") else content
        with pytest.raises(InputError, match=rf"{name}: {what}.*, by its first bytes\. "):
            texts(write(name, packed))


def test_an_html_page_is_named_where_columns_are_needed(write, caplog: pytest.LogCaptureFixture) -> None:
    page = "<!DOCTYPE html>\n<html>\n<p>Sign in, please\n"
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet"):
        with pytest.raises(InputError, match="an HTML page, by its first bytes"):
            texts(write(name, page))
    assert len(texts(write("a.txt", page))) == 3
    assert "a.txt: an HTML page. Its tags are part of the text." in caplog.text


PIECES = [b'{"text": "a"}', b"\n", b"\r", b"[", b"]", b"{", b"}", b",", b'"', b":", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"]
PIECES += [
    b"text",
    b"text,text",
    b";",
    b"\t",
    b"PAR1",
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"NaN",
    b"null",
    b"\\ud800",
    b"<html>",
]
PIECES += ["春".encode(), "春".encode("gb18030"), b"a\n"]


@given(st.lists(st.sampled_from(PIECES)).map(b"".join), st.sampled_from([*CONTENT, ".parquet"]), st.booleans())
def test_any_bytes_are_read_or_refused_in_one_message(
    tmp_path: Path, content: bytes, suffix: str, packed: bool
) -> None:
    path = tmp_path / (f"a{suffix}.gz" if packed else f"a{suffix}")
    path.write_bytes(gzip.compress(content) if packed else content)
    said = ""
    try:
        found = read_corpus(open_source(str(path)), Layout()).examples
        assert all(example.text.strip() for example in found)
    except InputError as error:
        said = str(error)
    assert not said or said.startswith(str(path))
    assert "\n" not in said

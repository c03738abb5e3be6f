"""A config's path finds its corpus; a wrong one says what is there."""

from pathlib import Path

import pytest

from aigc import assets
from aigc.data.text.corpus import read_corpus
from aigc.data.text.examples import Example, Layout
from aigc.data.text.objectives import Causal
from aigc.data.text.sources import open_source
from aigc.errors import InputError


def test_every_asset_is_read_with_its_columns() -> None:
    poems = read_corpus(open_source("asset:tang_quatrains.tsv"), Layout(text_column="poem"), Causal())
    assert (len(poems.examples), poems.skipped) == (3772, 0)
    assert {len(example.text) for example in poems.examples} == {24}
    pairs = read_corpus(
        open_source("asset:couplets.tsv"), Layout(prompt_column="upper", completion_column="lower"), Causal()
    )
    assert len(pairs.examples) == 27725
    assert pairs.examples[0] == Example("離宮百雉餘", prompt="綺殿千尋起")


def test_an_unknown_asset_lists_the_assets() -> None:
    with pytest.raises(InputError, match=r"no asset 'poems.tsv'. Assets: .*couplets.tsv, .*tang_quatrains.tsv"):
        open_source("asset:poems.tsv")
    with pytest.raises(InputError, match="no asset"):
        assets.resolve("asset:../errors.py")


def test_a_folder_is_read_in_the_order_of_its_names(write, tmp_path: Path) -> None:
    write("d/b.txt", "3\n")
    write("d/a.csv", "text\n1\n2\n")
    write("d/子 夾/c.jsonl", '{"text": "4"}\n')
    write("d/README.md", "not data")
    write("d/.hidden.txt", "not data")
    corpus = read_corpus(open_source(str(tmp_path / "d")), Layout(), Causal())
    assert [example.text for example in corpus.examples] == ["1", "2", "3", "4"]


def test_empty_examples_are_skipped_and_counted(write) -> None:
    corpus = read_corpus(open_source(str(write("a.txt", "a\n\n \u3000\nb\n"))), Layout(), Causal())
    assert ([example.text for example in corpus.examples], corpus.skipped) == (["a", "b"], 2)


def test_a_misspelled_name_gets_the_nearest(write, tmp_path: Path) -> None:
    write("poems.txt", "a")
    with pytest.raises(InputError, match=r"poem.txt: no such file or folder\. Did you mean 'poems.txt'\?"):
        open_source(str(tmp_path / "poem.txt"))
    with pytest.raises(InputError, match=r"The folder .*nowhere does not exist either"):
        open_source(str(tmp_path / "nowhere" / "poem.txt"))


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_text_is_refused(write, content: str) -> None:
    with pytest.raises(InputError, match=r"no example with a text \(\d empty ones\)"):
        read_corpus(open_source(str(write("a.txt", content))), Layout(), Causal())


def test_what_cannot_be_read_lists_what_can(write, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no reader for '.docx'; allowed: .csv, .json, .jsonl, .ndjson, .parquet, .tsv, .txt"
    ):
        open_source(str(write("a.docx", "a")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: the folder holds no data file; allowed: .csv"):
        open_source(str(tmp_path / "empty"))
    write("papers/a.pdf", "a")
    write("papers/b.PDF", "a")
    write("papers/.git/c.txt", "a")
    with pytest.raises(InputError, match=r"papers: the folder holds no data file, and 2 files: .pdf 2; allowed: .csv"):
        open_source(str(tmp_path / "papers"))


def test_columns_for_plain_text_are_refused(write) -> None:
    with pytest.raises(InputError, match=r"no columns"):
        read_corpus(open_source(str(write("a.txt", "a"))), Layout(text_column="poem"), Causal())


def test_the_fingerprint_follows_the_content_and_not_the_path(write, tmp_path: Path) -> None:
    first = open_source(str(write("a.txt", "abc"))).fingerprint()
    assert open_source(str(write("elsewhere/b.txt", "abc"))).fingerprint() == first
    assert open_source(str(write("a.txt", "abd"))).fingerprint() != first
    assert open_source(str(write("a.csv", "abc"))).fingerprint() != first
    write("d/1.txt", "abc")
    one = open_source(str(tmp_path / "d")).fingerprint()
    (tmp_path / "d/1.txt").rename(tmp_path / "d/2.txt")
    assert open_source(str(tmp_path / "d")).fingerprint() != one


@pytest.mark.parametrize("name", ["wikitext_of_nobody", "nobody/nothing"])
def test_a_hub_name_offline_fails_at_once_with_the_reason(name: str, offline: None) -> None:
    with pytest.raises(InputError, match=r"no such file or folder, and no such data set .* The Hub is switched off"):
        open_source(name)


def test_a_misspelled_folder_gets_the_nearest_though_it_could_be_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: None
) -> None:
    (tmp_path / "poems").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"Did you mean 'poems'\?"):
        open_source("poem")


def test_a_saved_data_set_is_read_and_hashed_by_its_rows(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": ["一", "二"], "n": [1, 2]})
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk(tmp_path / "two")
    for name in ("one", "two"):
        source = open_source(str(tmp_path / name))
        assert [example.text for example in read_corpus(source, Layout(), Causal()).examples] == ["一", "二"]
    rows.save_to_disk(tmp_path / "again")
    prints = [open_source(str(tmp_path / name)).fingerprint() for name in ("one", "again")]
    assert prints[0] == prints[1]
    with pytest.raises(InputError, match="row 1: column 'n' holds a number"):
        read_corpus(open_source(str(tmp_path / "one")), Layout(text_column="n"), Causal())
    with pytest.raises(InputError, match=r"no column 'txt'; columns: text, n. Did you mean 'text'"):
        read_corpus(open_source(str(tmp_path / "one")), Layout(text_column="txt"), Causal())


def test_a_damaged_saved_data_set_is_one_message(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"text": ["一"]}).save_to_disk(tmp_path / "one")
    for arrow in (tmp_path / "one").glob("*.arrow"):
        arrow.unlink()
    with pytest.raises(InputError, match="not a whole saved data set"):
        open_source(str(tmp_path / "one"))

"""The cache gives the same data again, and never half of them."""

import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aigc.data.cache import is_whole, writing
from aigc.data.text import prepared
from aigc.data.text.examples import Example, Layout
from aigc.data.text.prepared import PreparedText, prepare
from aigc.data.text.recipe import CorpusRecipe
from aigc.data.text.sources import open_source
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.errors import InputError

RECIPE = CorpusRecipe(tokenizer=TokenizerSettings(kind="character", min_frequency=1), sequence_length=16)
ARRAYS = [f"{split}/{name}.npy" for split in ("train", "validation") for name in ("tokens", "documents", "rows")]


@pytest.fixture
def corpus(write) -> Path:
    return write("corpus.txt", "".join(f"第{i}行 line {i}\n" for i in range(40)))


def make(path: Path, tmp_path: Path, recipe: CorpusRecipe = RECIPE, validation: Path | None = None) -> PreparedText:
    heldout = open_source(str(validation)) if validation else None
    return prepare(recipe, open_source(str(path)), heldout, tmp_path / "cache")


def test_a_second_run_does_not_tokenise_and_gives_the_same_arrays(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(corpus, tmp_path)
    kept = {name: np.load(first.folder / name).tobytes() for name in ARRAYS}
    other = prepare(RECIPE, open_source(str(corpus)), None, tmp_path / "other cache")
    assert {name: np.load(other.folder / name).tobytes() for name in ARRAYS} == kept

    def refuse(*_: object) -> None:
        raise AssertionError("read or tokenised again")

    monkeypatch.setattr(prepared, "read_corpus", refuse)
    monkeypatch.setattr(prepared, "tokenise", refuse)
    second = make(corpus, tmp_path)
    assert second == first
    assert {name: np.load(second.folder / name).tobytes() for name in ARRAYS} == kept
    with pytest.raises(AssertionError, match="again"):  # the guard itself works
        make(corpus, tmp_path, replace(RECIPE, seed=1))


def test_one_changed_byte_and_every_setting_change_the_entry(corpus: Path, tmp_path: Path) -> None:
    folders = [make(corpus, tmp_path).folder]
    for change in (
        {"sequence_length": 17},
        {"packing": False},
        {"validation_fraction": 0.2},
        {"seed": 1},
        {"layout": Layout(document="paragraph"), "validation_fraction": 0.0},
        {"tokenizer": TokenizerSettings(kind="character", min_frequency=2)},
    ):
        folders.append(make(corpus, tmp_path, replace(RECIPE, **change)).folder)
    folders.append(make(corpus, tmp_path, validation=corpus).folder)
    corpus.write_bytes(corpus.read_bytes().replace(b"line 7", b"line 8"))
    folders.append(make(corpus, tmp_path).folder)
    assert len(set(folders)) == len(folders)


def test_the_content_of_a_pretrained_tokenizer_is_in_the_key_and_its_folder_is_not(
    corpus: Path, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    made = make(corpus, tmp_path).tokenizer
    folders = []
    for name in ("a", "b"):
        made.save_pretrained(tmp_path / name)
        settings = TokenizerSettings(kind="pretrained", path=str(tmp_path / name))
        folders.append(make(corpus, tmp_path, replace(RECIPE, tokenizer=settings)).folder)
    assert folders[0] == folders[1]
    changed = AutoTokenizer.from_pretrained(tmp_path / "b")
    changed.add_tokens(["line"])
    changed.save_pretrained(tmp_path / "b")
    assert make(corpus, tmp_path, replace(RECIPE, tokenizer=settings)).folder != folders[0]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_write_leaves_nothing_usable_behind(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def interrupt(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "write_examples", interrupt)
        with pytest.raises(error):
            make(corpus, tmp_path)
    assert list((tmp_path / "cache/text").iterdir()) == []
    assert is_whole(make(corpus, tmp_path).folder)


@pytest.mark.parametrize("damage", ["shorten", "change", "remove", "unfinished"])
def test_a_damaged_entry_is_made_again(corpus: Path, tmp_path: Path, damage: str) -> None:
    first = make(corpus, tmp_path)
    tokens = first.folder / "train/tokens.npy"
    good = tokens.read_bytes()
    if damage == "shorten":
        tokens.write_bytes(good[:-2])
    elif damage == "change":
        tokens.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    elif damage == "remove":
        tokens.unlink()
    else:
        (first.folder / "checksums.json").unlink()
    assert not is_whole(first.folder)
    assert make(corpus, tmp_path) == first
    assert tokens.read_bytes() == good
    assert [path.name for path in (tmp_path / "cache/text").iterdir()] == [first.folder.name]


def test_two_writers_at_once_leave_one_whole_entry(tmp_path: Path) -> None:
    folder = tmp_path / "text" / "key"

    def write(number: int) -> None:
        with writing(folder) as aside:
            (aside / "data").write_text("x" * 100_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert is_whole(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["key"]


def test_info_counts_what_is_learned(write, tmp_path: Path) -> None:
    path = write("p.tsv", "q\ta\n問\t天地\n問二\tab\n問三\t \n長" + "長" * 40 + "\t玄\n")
    layout = Layout(prompt_column="q", completion_column="a", separator="：")
    info = make(path, tmp_path, replace(RECIPE, layout=layout, validation_fraction=0.0)).info
    train = info["train"]
    assert (info["skipped"], train["examples"], train["documents"], train["cut"], train["dropped"]) == (1, 3, 3, 1, 0)
    assert train["target_tokens"] == (2 + 1) + (2 + 1) + (1 + 1)
    assert (train["characters"], train["bytes"]) == (5, 2 * 3 + 2 + 3)
    assert train["tokens"] == (1 + 2 + 3) + (1 + 3 + 3) + 16
    assert train["fill_ratio"] == train["tokens"] / (16 * train["rows"])
    assert train["unknown_share"] == 0.0
    assert info["validation"]["rows"] == 0
    assert info["tokenizer"]["kind"] == "character"


def test_bytes_of_a_shortened_completion_count_only_what_is_left(write, tmp_path: Path) -> None:
    path = write("p.jsonl", json.dumps({"q": "a", "a": "b" * 50}) + "\n")
    layout = Layout(prompt_column="q", completion_column="a")
    train = make(path, tmp_path, replace(RECIPE, layout=layout, validation_fraction=0.0)).info["train"]
    assert (train["target_tokens"], train["characters"], train["bytes"]) == (15, 15, 15)


def test_long_text_is_cut_without_losing_a_target(write, tmp_path: Path) -> None:
    text = "".join(chr(0x4E00 + i) for i in range(100))
    data = make(write("long.txt", text), tmp_path, replace(RECIPE, validation_fraction=0.0))
    batch = data.rows("train").batch(range(len(data.rows("train"))))
    learned = [token for row in batch["labels"].tolist() for token in row if token >= 0]
    assert data.tokenizer.decode(learned) == text + "<|end|>"
    assert data.info["train"]["cut"] == 1


def test_heldout_texts_and_rows_are_those_of_the_split(corpus: Path, tmp_path: Path) -> None:
    data = make(corpus, tmp_path)
    assert len(data.heldout) == 4
    assert all(isinstance(example, Example) for example in data.heldout)
    batch = data.rows("validation").batch(range(len(data.rows("validation"))))
    text = data.tokenizer.decode(batch["input_ids"][batch["segment_ids"] > 0])
    assert sorted(t for t in text.split("<|end|>") if t) == sorted(example.text for example in data.heldout)


def test_texts_shared_with_a_validation_corpus_are_logged(
    corpus: Path, write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make(corpus, tmp_path, validation=write("v.txt", "第3行 line 3\n別\n"))
    assert "1 text also in the training corpus" in caplog.text
    assert data.info["train"]["examples"] == 40
    assert [example.text for example in data.heldout] == ["第3行 line 3", "別"]


def test_rows_travel_to_workers_as_a_path(corpus: Path, tmp_path: Path) -> None:
    rows = make(corpus, tmp_path).rows("train")
    frozen = pickle.dumps(rows)
    assert len(frozen) < 1000
    assert pickle.loads(frozen)[0]["input_ids"].equal(rows[0]["input_ids"])


def test_a_corpus_error_reaches_the_person_and_leaves_no_entry(write, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not UTF-8"):
        make(write("bad.txt", b"a\n\xff\n"), tmp_path)
    assert list((tmp_path / "cache/text").iterdir()) == []


def test_a_corpus_that_changes_while_it_is_read_is_refused(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(str(corpus))
    prints = iter(["before", "after"])
    monkeypatch.setattr(source, "fingerprint", lambda: next(prints))
    with pytest.raises(InputError, match="changed while it was read"):
        prepare(RECIPE, source, None, tmp_path / "cache")
    assert list((tmp_path / "cache/text").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    with pytest.raises(InputError, match=r"data.cache: .* cannot be written to: Not a directory"):
        make(corpus, tmp_path)


def test_bytes_of_rare_characters_count_as_unknown(write, tmp_path: Path) -> None:
    recipe = replace(RECIPE, tokenizer=TokenizerSettings(kind="character"), validation_fraction=0.0)
    train = make(write("r.txt", "天天稀天\n"), tmp_path, recipe).info["train"]
    assert train["unknown_share"] == 3 / (1 + 3 + 3 + 1)


def test_leftovers_of_killed_writers_go_after_a_day(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    old, new = tmp_path / ".key-old", tmp_path / ".key-new"
    for path in (old, new):
        path.mkdir()
    os.utime(old, (0, 0))
    with writing(folder):
        pass
    assert not old.exists()
    assert new.exists()


def test_long_texts_are_said_to_be_split_and_long_pairs_to_be_cut(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "aigc")
    make(write("long.txt", "x" * 100 + "\nshort\n"), tmp_path, replace(RECIPE, validation_fraction=0.0))
    said = "1 train document longer than data.sequence_length 16, split into 7 pieces: nothing is left out"
    assert said in caplog.messages
    caplog.clear()
    pairs = replace(RECIPE, layout=Layout(prompt_column="q", completion_column="a"), validation_fraction=0.0)
    make(write("p.jsonl", json.dumps({"q": "q" * 50, "a": "a"}) + "\n"), tmp_path, pairs)
    assert any("sequence_length 16, cut: what does not fit is left out" in one for one in caplog.messages)
    assert not any("split" in one for one in caplog.messages)

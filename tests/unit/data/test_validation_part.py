"""A model that is measured needs the validation part of a corpus, the same as in training, and no other part."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aigc.config import trust
from aigc.data.text import StreamedText, TextData
from aigc.data.text.stream_prepared import StreamTokenizer
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.errors import InputError

ARRAYS = [f"validation/{name}.npy" for name in ("tokens", "documents", "rows")]
LINES = "".join(f"第{i}行 line {i}\n" for i in range(40))


@pytest.fixture
def tokenizer(write: Callable, tmp_path: Path) -> str:
    """The folder of a pretrained tokenizer."""
    settings = TokenizerSettings(kind="character", min_frequency=1)
    made = TextData(str(write("made.txt", LINES)), tokenizer=settings, sequence_length=16, cache=str(tmp_path / "c"))
    made.only_validation = True  # without effect, as there is no tokenizer yet
    made.setup()
    made.save_beside_model(tmp_path / "t")
    return str(tmp_path / "t")


def text_data(
    path: Path, tokenizer: str, only_validation: bool, state: dict[str, Any] | None = None, **settings: Any
) -> TextData:
    chosen = {"sequence_length": 16, "batch_size": 4, "cache": str(path.parent / "cache")} | settings
    data = TextData(str(path), tokenizer=TokenizerSettings(kind="pretrained", path=tokenizer), **chosen)
    data.only_validation = only_validation
    if state:
        data.load_state_dict(state)
    data.setup()
    return data


@pytest.mark.parametrize("own_file", [False, True])
def test_the_rows_are_those_of_training(write: Callable, tokenizer: str, own_file: bool) -> None:
    path = write("corpus.txt", LINES)
    heldout = {"validation_path": str(write("val.txt", "第1行 other\n第2行 other\n"))} if own_file else {}
    whole, part = (text_data(path, tokenizer, only, **heldout) for only in (False, True))
    assert part.heldout == whole.heldout
    for name in ARRAYS:
        assert (part.prepared.folder / name).read_bytes() == (whole.prepared.folder / name).read_bytes()
    assert part.info["validation"] == whole.info["validation"]
    assert not (part.prepared.folder / "train").exists()
    assert (whole.prepared.folder / "train").exists()
    assert len(list(part.val_dataloader())) == len(list(whole.val_dataloader())) > 0


def test_a_validation_file_is_measured_without_the_corpus(write: Callable, tokenizer: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone.txt"
    data = text_data(gone, tokenizer, True, validation_path=str(write("val.txt", "第1行 only\n")), batch_size=64)
    assert [example.text for example in data.heldout] == ["第1行 only"]
    with pytest.raises(InputError, match="gone"):
        text_data(gone, tokenizer, False, validation_path=str(tmp_path / "val.txt"))


def test_fewer_rows_than_a_batch_are_measured_and_not_trained(write: Callable, tokenizer: str) -> None:
    path = write("few.txt", "".join(f"第{i}行\n" for i in range(20)))
    assert len(text_data(path, tokenizer, True, batch_size=64).heldout) == 2
    with pytest.raises(InputError, match=r"data\.batch_size"):
        text_data(path, tokenizer, False, batch_size=64)


def test_a_stream_may_end_with_what_is_measured(write: Callable, tokenizer: str, tmp_path: Path) -> None:
    path = write("few.txt", "".join(f"第{i}行\n" for i in range(20)))
    settings = {"sequence_length": 16, "batch_size": 4, "cache": str(tmp_path / "cache")}
    for only_validation in (True, False, True):
        data = StreamedText(str(path), tokenizer=StreamTokenizer(kind="pretrained", path=tokenizer), **settings)
        data.only_validation = only_validation
        if only_validation:
            data.setup()
            assert len(data.heldout) == 20
        else:
            with pytest.raises(InputError, match=r"data\.validation_documents"):
                data.setup()


def test_what_has_to_be_learned_is_learned_of_the_training_part(
    write: Callable, tokenizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "_named", ["tests"])
    rows = [{"text": f"第{i}行", "label": ("sad", "mad", "glad")[i % 3]} for i in range(40)]
    path = write("labelled.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    objective = {"_target_": "tests.unit.data.objectives.Classification"}
    trained = text_data(path, tokenizer, False, objective=objective)
    unknown = text_data(path, tokenizer, True, objective=objective)
    assert unknown.prepared.folder == trained.prepared.folder, "without a model's state all of it is needed"
    state = trained.state_dict()
    known = text_data(path, tokenizer, True, state, objective=objective)
    assert known.state_dict() == state
    assert not (known.prepared.folder / "train").exists()
    assert np.array_equal(*[np.load(one.prepared.folder / ARRAYS[0]) for one in (known, trained)])

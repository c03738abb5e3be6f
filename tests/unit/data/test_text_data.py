"""Batches hold what a slow and obvious implementation says they should."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from aigc.data.text.data import TextData
from aigc.data.text.objectives import Causal, Context
from aigc.data.text.packing import IGNORE
from aigc.data.text.rows import Batch, Rows
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.errors import InputError

TENSORS = ("input_ids", "labels", "segment_ids", "position_ids")
SETTINGS = {"tokenizer": TokenizerSettings(kind="character", min_frequency=1), "batch_size": 2, "sequence_length": 32}


def reference(rows: list[list[tuple[list[int], int]]], sequence_length: int) -> dict[str, list[list[int]]]:
    """A batch made token by token from rows of (document, first target)."""
    longest = max(sum(len(ids) for ids, _ in row) for row in rows)
    width = next(w for w in [*range(8, sequence_length, 8), sequence_length] if w >= longest)
    batch: dict[str, list[list[int]]] = {name: [] for name in TENSORS}
    for row in rows:
        columns: list[tuple[int, int, int, int]] = []
        for number, (ids, target) in enumerate(row, 1):
            for position, token in enumerate(ids):
                columns.append((token, token if position >= target else IGNORE, number, position))
        columns += [(0, IGNORE, 0, 0)] * (width - len(columns))
        for name, values in zip(TENSORS, zip(*columns, strict=True), strict=True):
            batch[name].append(list(values))
    return batch


documents = st.lists(st.integers(0, 300), min_size=2, max_size=8).flatmap(
    lambda ids: st.tuples(st.just(ids), st.integers(1, len(ids) - 1))
)
row_lists = st.lists(st.lists(documents, min_size=1, max_size=4), min_size=1, max_size=8)


@settings(max_examples=60)
@given(row_lists, st.data(), st.sampled_from([np.uint16, np.uint32]))
def test_batches_equal_the_slow_reference(tmp_path: Path, rows: list, data: st.DataObject, dtype: type) -> None:
    flat = [document for row in rows for document in row]
    starts = np.cumsum([0, *(len(ids) for ids, _ in flat)])
    np.save(tmp_path / "tokens.npy", np.asarray([token for ids, _ in flat for token in ids], dtype))
    table = [(start, len(ids), target) for start, (ids, target) in zip(starts[:-1], flat, strict=True)]
    np.save(tmp_path / "documents.npy", np.asarray(table, np.int64))
    np.save(tmp_path / "rows.npy", np.cumsum([0, *(len(row) for row in rows)]))
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=6))

    batch = Rows(tmp_path, Causal(), Context(35, tmp_path)).batch(chosen)

    expected = reference([rows[i] for i in chosen], 35)
    for name in TENSORS:
        assert batch[name].dtype == torch.int64
        assert batch[name].tolist() == expected[name]
    assert type(batch["target_tokens"]) is int
    assert batch["target_tokens"] == int((batch["labels"] != IGNORE).sum())


@pytest.fixture
def data(write, tmp_path: Path) -> TextData:
    path = write("詩/poems.txt", "".join(f"第{i}行 line {i}\n" for i in range(100)))
    made = TextData(str(path), cache=str(tmp_path / "cache"), **SETTINGS)
    made.prepare_data()
    made.setup("fit")
    return made


def shapes(batches: list[Batch]) -> list[int]:
    return [len(batch["input_ids"]) for batch in batches]


def test_training_drops_the_rest_and_validation_drops_nothing(data: TextData) -> None:
    rows = data.info["train"]["rows"]
    training = list(data.train_dataloader())
    assert shapes(training) == [2] * (rows // 2)
    validation = list(data.val_dataloader())
    assert sum(shapes(validation)) == data.info["validation"]["rows"]
    assert sum(batch["target_tokens"] for batch in validation) == data.info["validation"]["target_tokens"]
    text = "".join(data.tokenizer.decode(batch["input_ids"][batch["segment_ids"] > 0]) for batch in validation)
    assert sorted(t for t in text.split("<|end|>") if t) == sorted(example.text for example in data.heldout)


def test_every_document_is_learned_up_to_its_end_token(data: TextData) -> None:
    for batch in data.train_dataloader():
        last = batch["segment_ids"].diff(append=torch.zeros(2, 1, dtype=torch.int64)) != 0
        last &= batch["segment_ids"] > 0
        assert (batch["labels"][last] == data.tokenizer.eos_token_id).all()
        assert (batch["labels"][batch["position_ids"] == 0] == IGNORE).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_order_follows_the_epoch_and_not_the_workers_or_the_global_generator(data: TextData, workers: int) -> None:
    def epochs(num_workers: int) -> list[list[list[int]]]:
        data.num_workers = num_workers
        loader = data.train_dataloader()
        taken = []
        for epoch in (0, 1):
            loader.sampler.set_epoch(epoch)
            taken.append([batch["input_ids"].tolist() for batch in loader])
        return taken

    expected = epochs(0)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert epochs(workers) == expected
    assert torch.equal(torch.get_rng_state(), before)
    assert expected[0] != expected[1]


def test_a_prompt_carries_no_loss(tmp_path: Path) -> None:
    data = TextData(
        "asset:couplets.tsv",
        prompt_column="upper",
        completion_column="lower",
        separator="，",
        cache=str(tmp_path),
        sequence_length=64,
    )
    data.setup()
    batch = data.example_rows(1)
    first = batch["segment_ids"][0] == 1
    example = data.tokenizer.decode(batch["input_ids"][0][first])
    learned = data.tokenizer.decode([t for t in batch["labels"][0][first].tolist() if t != IGNORE])
    assert example == "<|end|>" + example.split("，")[0].removeprefix("<|end|>") + "，" + learned
    assert learned.endswith("<|end|>")
    assert len(learned) == 5 + len("<|end|>")


def test_too_little_text_for_a_batch_says_both_numbers(write, tmp_path: Path) -> None:
    path = write("few.txt", "一\n二\n三\n")
    data = TextData(str(path), cache=str(tmp_path / "cache"), batch_size=8)
    with pytest.raises(InputError, match=r"gives 1 training row of 256 tokens, fewer than data.batch_size 8\. Lower"):
        data.prepare_data()


def test_without_validation_there_is_no_validation_loader(write, tmp_path: Path) -> None:
    path = write("a.txt", "一\n二\n")
    data = TextData(str(path), cache=str(tmp_path / "c"), batch_size=1, validation_fraction=0.0)
    data.setup()
    assert data.val_dataloader() == []
    assert data.heldout == []


def test_a_tokenizer_without_pad_or_bos_token_trains_as_well(write, data: TextData, tmp_path: Path) -> None:
    bare = AutoTokenizer.from_pretrained(data.prepared.folder / "tokenizer", pad_token=None, bos_token=None)
    bare.save_pretrained(tmp_path / "bare")
    path = write("b.txt", "甲乙丙丁\n" * 3 + "戊己庚辛\n")
    other = TextData(
        str(path),
        cache=str(tmp_path / "c"),
        batch_size=1,
        sequence_length=40,
        validation_fraction=0.0,
        tokenizer=TokenizerSettings(kind="pretrained", path=str(tmp_path / "bare")),
    )
    other.setup()
    assert other.tokenizer.pad_token_id is None
    batch = next(iter(other.train_dataloader()))
    assert (batch["labels"][0] != IGNORE).sum() == batch["target_tokens"]
    assert other.info["train"]["target_tokens"] == other.info["train"]["tokens"] - other.info["train"]["documents"]


@pytest.mark.parametrize("name", ["sequence_length", "batch_size", "num_workers", "seed"])
def test_numbers_out_of_range_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"data\.{name} is -1; allowed: at least"):
        TextData("a.txt", **{name: -1})


def test_data_before_preparation_say_what_to_call() -> None:
    with pytest.raises(RuntimeError, match=r"Call prepare_data\(\)"):
        _ = TextData("a.txt").tokenizer


def test_each_step_is_logged_in_one_line(write, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "aigc"):
        TextData(str(write("a.txt", "一\n二\n")), cache=str(tmp_path / "c"), batch_size=1).prepare_data()
    assert "tokenising 1 train document" in caplog.messages
    assert "packing 1 train document" in caplog.messages


@pytest.mark.parametrize(("changed", "said"), [({}, "packing"), ({"shuffle": False}, "shuffle")])
def test_rows_are_grouped_only_where_that_saves_something(changed, said, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join("山" * n for n in range(1, 25)))
    with pytest.raises(InputError, match=f"data.{said}"):
        TextData(str(path), cache=str(tmp_path), group_by_length=True, **{**SETTINGS, **changed}).prepare_data()
    data = TextData(str(path), cache=str(tmp_path), group_by_length=True, packing=False, **SETTINGS)
    data.prepare_data()
    rows = data.prepared.rows("train")
    assert rows.lengths().tolist() == [int((rows[n]["segment_ids"] > 0).sum()) for n in range(len(rows))]
    spread = [
        int((b["segment_ids"] > 0).sum(1).max() - (b["segment_ids"] > 0).sum(1).min()) for b in data.train_dataloader()
    ]
    assert max(spread) <= 2

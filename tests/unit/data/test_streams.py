"""A stream gives each document once, on one rank, in an order of seed and epoch, from any place on."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.data.text import TextData, stream_rows
from aigc.data.text.examples import Layout
from aigc.data.text.objectives import Causal
from aigc.data.text.rows import Batch, DealtRows
from aigc.data.text.stream_prepared import StreamTokenizer
from aigc.data.text.streamed import StreamedText
from aigc.data.text.streams import open_stream
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.errors import InputError

TENSORS = ("input_ids", "labels", "segment_ids", "position_ids")


def lines(shard: int, count: int) -> list[str]:
    """Documents of different lengths, no two alike."""
    return [f"{shard}-{number}" + "x" * (number % 7) for number in range(count)]


def shards(folder: Path, *counts: int) -> Path:
    """A folder with a file for each count."""
    folder.mkdir(exist_ok=True)
    for shard, count in enumerate(counts):
        rows = "".join(json.dumps({"text": text}) + "\n" for text in lines(shard, count))
        (folder / f"{shard}.jsonl").write_text(rows, encoding="utf-8")
    return folder


def streamed(path: Path | str, cache: Path, **changes: Any) -> StreamedText:
    chosen: dict[str, Any] = {"sequence_length": 24, "batch_size": 1, "validation_documents": 3, "shuffle_buffer": 10}
    tokenizer = StreamTokenizer(kind="character", min_frequency=1, sample=40)
    data = StreamedText(str(path), tokenizer=tokenizer, cache=str(cache), **(chosen | changes))
    data.prepare_data()
    return data


def documents(batches: Iterable[tuple[Batch, Any]], data: StreamedText) -> list[str]:
    """The texts in some batches."""
    found = []
    for batch, _ in batches:
        for ids, segments in zip(batch["input_ids"], batch["segment_ids"], strict=True):
            for number in range(1, int(segments.max()) + 1):
                found.append(data.tokenizer.decode(ids[segments == number], skip_special_tokens=True))
    return found


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of some ten documents, read five at a time."""
    monkeypatch.setattr(stream_rows, "WINDOW", 4)
    monkeypatch.setattr(stream_rows, "_CHUNK", 5)


@pytest.mark.parametrize("scheme", ["", "hub:"])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("counts", [(30, 30), (60, 9), (40,), (10, 20, 30)])
def test_each_document_is_on_one_rank(
    scheme: str, world_size: int, counts: tuple[int, ...], tmp_path: Path, small_windows: None
) -> None:
    folder = shards(tmp_path / "texts", *counts)
    data = streamed(f"{scheme}{folder}", tmp_path / "cache")
    heldout = [example.text for example in data.heldout]
    assert len(heldout) == 3
    for epoch in range(2):
        ranks = [data.rows(rank, world_size).batches(epoch, 1) for rank in range(world_size)]
        found = Counter(text for batches in ranks for text in documents(batches, data))
        assert found + Counter(heldout) == Counter(text for shard, n in enumerate(counts) for text in lines(shard, n))


def test_files_of_unlike_sizes_are_shared_document_by_document(tmp_path: Path) -> None:
    alike, unlike = shards(tmp_path / "alike", 50, 50), shards(tmp_path / "unlike", 95, 5)
    for folder, expected in ((alike, [50, 50]), (unlike, [50, 50])):
        stream = open_stream(str(folder), Layout(), Causal())
        assert [sum(1 for _ in stream.dataset(None, rank, 2)) for rank in range(2)] == expected
        assert ("reads all files" in stream.dealing(2)) == (folder is unlike)
    whole_files = [
        {row["text"][0] for row in open_stream(str(alike), Layout(), Causal()).dataset(None, r, 2)} for r in (0, 1)
    ]
    assert whole_files == [{"0"}, {"1"}]


def test_a_window_is_packed_like_a_corpus(tmp_path: Path) -> None:
    folder = shards(tmp_path / "texts", 60, 60)
    data = streamed(folder, tmp_path / "cache", validation_documents=0, shuffle=False, batch_size=4)
    settings = {"sequence_length": 24, "validation_fraction": 0.0, "shuffle": False, "batch_size": 4}
    kind = TokenizerSettings(kind="pretrained", path=str(data.prepared.folder / "tokenizer"))
    packed = TextData(str(folder), tokenizer=kind, cache=str(tmp_path / "cache"), **settings)
    packed.prepare_data()
    expected = list(packed.train_dataloader())
    made = [batch for batch, _ in data.rows().batches(0, 4)]
    assert len(made) == len(expected) > 5
    for one, other in zip(made, expected, strict=True):
        assert one["target_tokens"] == other["target_tokens"]
        assert all(torch.equal(one[name], other[name]) for name in TENSORS)


@pytest.mark.parametrize("scheme", ["", "hub:"])
@pytest.mark.parametrize("shuffle_buffer", [0, 16])
@pytest.mark.parametrize(("rank", "world_size"), [(0, 1), (1, 2), (2, 3)])
def test_a_stream_resumes_exactly_at_any_position(
    scheme: str, shuffle_buffer: int, rank: int, world_size: int, tmp_path: Path, small_windows: None
) -> None:
    folder = shards(tmp_path / "texts", 90, 70)
    data = streamed(f"{scheme}{folder}", tmp_path / "cache", shuffle_buffer=shuffle_buffer)
    whole = list(data.rows(rank, world_size).batches(1, 2))
    assert len({place["window"] for _, place in whole}) > 2
    going_on = None
    for done, (batch, place) in enumerate(whole, 1):
        place = json.loads(json.dumps(place))  # plain containers, as a checkpoint holds them
        rest = list(data.rows(rank, world_size).batches(1, 2, place))
        assert_same(rest, whole[done:])
        one, going_on = next(data.rows(rank, world_size).batches(1, 2, going_on))  # stopped after every batch
        assert_same([(one, going_on)], [(batch, place)])


def assert_same(some: list[tuple[Batch, Any]], others: list[tuple[Batch, Any]]) -> None:
    """Equal batches at equal places; `datasets` has several spellings for one state."""
    for (one, here), (other, there) in zip(some, others, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in TENSORS)
        assert (here["window"], here["row"]) == (there["window"], there["row"])


def test_rows_are_the_same_for_any_batch_size(tmp_path: Path, small_windows: None) -> None:
    data = streamed(shards(tmp_path / "texts", 60, 40), tmp_path / "cache")
    alone = documents(data.rows().batches(0, 1), data)
    for size in (2, 3, 7):
        found = documents(data.rows().batches(0, size), data)
        assert found == alone[: len(found)]


def test_the_order_depends_on_seed_and_epoch_alone(tmp_path: Path, small_windows: None) -> None:
    folder = shards(tmp_path / "texts", 30, 30, 30, 30)

    def order(epoch: int = 0, **changes: Any) -> list[str]:
        data = streamed(folder, tmp_path / "cache", **changes)
        return documents(data.rows().batches(epoch, 1), data)

    assert order() == order()
    assert order(1) != order() != order(seed=1)
    assert sorted(order(1)) == sorted(order()) == sorted(order(seed=1))
    files = [text[0] for text in order(1, shuffle_buffer=0)]
    assert len(list(dict.fromkeys(files))) == sum(a != b for a, b in pairwise(files)) + 1
    assert order(1, shuffle=False) == order(0, shuffle=False)
    assert [text[0] for text in order(shuffle=False)] == sorted(text[0] for text in order())


def test_what_is_held_out_is_never_trained_on_and_copies_of_it_neither(tmp_path: Path, write: Callable) -> None:
    path = write("corpus.txt", "one\ntwo\none\n" + "\n".join(f"text {n}" for n in range(50)) + "\nｔｗｏ\n one \n")
    data = streamed(path, tmp_path / "cache", validation_documents=2)
    assert [example.text for example in data.heldout] == ["one", "two"]
    assert sorted(documents(data.rows().batches(0, 1), data)) == sorted(f"text {n}" for n in range(50))


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "txt"])
def test_other_files_are_read_too(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"corpus.{ending}"
    texts = lines(0, 40)
    if ending == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    else:
        path.write_text("\n".join(texts if ending == "txt" else ["text", *texts]) + "\n", encoding="utf-8")
    data = streamed(path, tmp_path / "cache")
    assert sorted(documents(data.rows().batches(0, 1), data)) == sorted(texts[3:])


def test_prompts_carry_no_loss(tmp_path: Path, write: Callable) -> None:
    rows = "".join(f'{{"a": "p{n}", "b": "c{n}"}}\n' for n in range(30))
    path = write("pairs.jsonl", rows)
    data = streamed(path, tmp_path / "cache", prompt_column="a", completion_column="b", separator=":", packing=False)
    batch, _ = next(data.rows().batches(0, 1))
    learned = batch["labels"][0][batch["labels"][0] >= 0]
    text = data.tokenizer.decode(learned, skip_special_tokens=True)
    assert text.startswith("c")
    assert data.tokenizer.decode(batch["input_ids"][0], skip_special_tokens=True).endswith(f":{text}")


def test_a_fingerprint_is_that_of_the_files(tmp_path: Path, write: Callable) -> None:
    def fingerprint(path: str) -> str:
        return open_stream(path, Layout(), Causal()).fingerprint()

    small = write("a/x.txt", "text\n")
    before = fingerprint(str(small))
    small.touch()
    assert fingerprint(str(small)) == before
    assert fingerprint(str(write("b/x.txt", "text\n"))) == before
    assert fingerprint(str(write("a/x.txt", "texts\n"))) != before
    large = write("large.txt", "text\n" * 300_000)
    before = fingerprint(str(large))
    large.write_bytes(large.read_bytes().replace(b"text\n", b"TEXT\n", 1))
    assert fingerprint(str(large)) != before
    hub = f"hub:{shards(tmp_path / 'hub', 5, 5)}"
    assert fingerprint(hub) == fingerprint(hub)
    before = fingerprint(hub)
    shards(tmp_path / "hub", 5, 6)
    assert fingerprint(hub) != before


@pytest.mark.parametrize("ahead", [0, 1])
def test_a_damaged_line_is_named(ahead: int, tmp_path: Path, write: Callable) -> None:
    rows = [json.dumps({"text": text}) for text in lines(0, 200)]
    rows[149] = '{"text": '
    path = write("damaged.jsonl", "\n".join(rows) + "\n")
    data = streamed(path, tmp_path / "cache", num_workers=ahead)
    with pytest.raises(InputError, match=r"^\S*damaged.jsonl, line 150, column \d+: not JSON"):
        list(data.train_dataloader())


@pytest.mark.parametrize(
    ("name", "content", "changes", "said"),
    [
        ("a.jsonl", '{"txt": "x"}\n', {}, r"line 1: no column 'text'; columns: txt\. Did you mean 'txt'"),
        ("a.jsonl", "", {}, r"no example with a text\."),
        ("a.txt", "one\ntwo\n", {}, "no example with a text besides the 2 for validation"),
        (
            "a.txt",
            "x" * 2000,
            {},
            "no text is left besides the 1 for validation: .* one text of 2,000 char.*data.document",
        ),
        ("a.txt", "one\n", {"text_column": "text"}, "no columns"),
        ("a.pdf", "x", {}, "no reader for '.pdf'; allowed: .csv"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused(
    name: str, content: str, changes: dict[str, Any], said: str, tmp_path: Path, write: Callable
) -> None:
    with pytest.raises(InputError, match=said):
        streamed(write(name, content), tmp_path / "cache", **changes)


@pytest.mark.usefixtures("offline")
def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder, and no file fits a pattern"):
        streamed(tmp_path / "*.jsonl", tmp_path / "cache")
    with pytest.raises(InputError, match=r"hub:nobody/nothing: no such data set .*HF_HUB_OFFLINE"):
        streamed("hub:nobody/nothing", tmp_path / "cache")
    folder = shards(tmp_path / "hub", 5)
    with pytest.raises(InputError, match=r"no column 'words'; columns: text\."):
        streamed(f"hub:{folder}", tmp_path / "cache", text_column="words")


class _Numbered:
    """Rows whose content is their number."""

    objective = Causal()

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: list[int]) -> Batch:
        assert indices
        ids = torch.tensor(indices)[:, None]
        return Batch(input_ids=ids, labels=ids.clone(), segment_ids=ids, position_ids=ids, target_tokens=len(indices))


@settings(max_examples=200)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_every_validation_row_counts_once_on_any_number_of_ranks(count: int, batch_size: int, world_size: int) -> None:
    ranks = [DealtRows(_Numbered(count), batch_size, rank, world_size) for rank in range(world_size)]  # type: ignore[arg-type]
    assert len({len(dealt) for dealt in ranks}) == 1
    batches = [dealt[index] for dealt in ranks for index in range(len(dealt))]
    labels = torch.cat([batch["labels"].flatten() for batch in batches])
    assert sorted(labels[labels >= 0].tolist()) == list(range(count))
    assert sum(batch["target_tokens"] for batch in batches) == count
    assert all(len(batch["labels"]) <= batch_size for batch in batches)

"""An objective of one's own is one class: documents, cache, order, streams and validation come with the data."""

import importlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from aigc.config import ConfigError, trust
from aigc.data.text import StreamedText, TextData
from aigc.data.text.objectives import Causal
from aigc.data.text.stream_prepared import StreamTokenizer
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.errors import InputError

CHARACTERS = TokenizerSettings(kind="character", min_frequency=1)
MOODS = ("sad", "glad", "mad")


@pytest.fixture(autouse=True)
def own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The objectives are in this package, which a person trusts."""
    monkeypatch.setattr(trust, "_named", ["tests"])


def node(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"tests.unit.data.objectives.{name}", **arguments}


def table(write: Any, count: int = 40) -> Path:
    rows = [
        {"text": f"第{i}行 " + "x" * (i % 9), "mood": MOODS[i % 3], "q": f"{i}?" * (1 + i % 4), "rank": i}
        for i in range(count)
    ]
    return write("rows.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def opened(path: Path, cache: Path, objective: dict[str, Any], **changes: Any) -> TextData:
    settings: dict[str, Any] = {"tokenizer": CHARACTERS, "sequence_length": 16, "batch_size": 4}
    data = TextData(str(path), objective=objective, cache=str(cache), **(settings | changes))
    data.setup()
    return data


def epoch(data: TextData, number: int = 0, workers: int = 0) -> list[dict[str, Any]]:
    data.num_workers = workers
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def same(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    return len(one) == len(other) and all(
        left.keys() == right.keys()
        and all(torch.equal(torch.as_tensor(left[k]), torch.as_tensor(right[k])) for k in left)
        for left, right in zip(one, other, strict=True)
    )


def test_a_class_of_each_text_comes_from_a_column(write: Any, tmp_path: Path) -> None:
    data = opened(table(write), tmp_path / "c", node("Classification", label_column="mood"))
    assert data.prepared.context.learned == {"classes": ["glad", "mad", "sad"]}
    seen = {}
    for batch in epoch(data):
        assert batch["labels"].shape == (4,)
        assert batch["target_tokens"] == 4
        for ids, label in zip(batch["input_ids"], batch["labels"].tolist(), strict=True):
            seen[data.tokenizer.decode(ids[ids > 0])] = data.prepared.context.learned["classes"][label]
    assert len(seen) == 36
    for text, mood in seen.items():
        assert mood == MOODS[int(text.removeprefix("第").split("行")[0]) % 3]
    assert [example.values["mood"] for example in data.heldout] == [
        MOODS[int(example.text.removeprefix("第").split("行")[0]) % 3] for example in data.heldout
    ]


def test_a_column_may_hold_numbers_and_an_objective_can_refuse_a_value(write: Any, tmp_path: Path) -> None:
    path = write("n.jsonl", '{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    data = opened(path, tmp_path / "c", node("Classification"), validation_fraction=0.0, batch_size=1)
    assert sorted(int(batch["labels"]) for batch in epoch(data)) == [0, 1]
    other = write("v.jsonl", '{"text": "c", "label": 2}\n')
    with pytest.raises(InputError, match=r"data\.objective: column 'label' holds '2'"):
        opened(path, tmp_path / "c", node("Classification"), validation_path=str(other), batch_size=1)


def test_source_and_target_are_padded_each_by_itself(write: Any, tmp_path: Path) -> None:
    columns = {"prompt_column": "q", "completion_column": "text"}
    data = opened(table(write), tmp_path / "c", node("SequenceToSequence"), **columns)
    for batch in epoch(data):
        assert batch["target_tokens"] == int((batch["labels"] >= 0).sum())
        for source, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            target = data.tokenizer.decode(labels[labels >= 0])
            number = target.removeprefix("第").split("行")[0]
            assert data.tokenizer.decode(source[source > 0]) == (f"{number}?" * (1 + int(number) % 4))[:16]
            assert target.endswith("<|end|>")
    assert data.info["train"]["target_tokens"] == sum(batch["target_tokens"] for batch in epoch(data))


def test_what_is_drawn_for_a_row_depends_on_seed_epoch_and_row_alone(write: Any, tmp_path: Path) -> None:
    data = opened(table(write), tmp_path / "c", node("Masked", share=0.5))
    whole = epoch(data, 1)
    assert same(epoch(data, 1), whole)
    assert same(epoch(data, 1, workers=2), whole)
    data.num_workers = 0
    resumed = data.train_dataloader()
    resumed.load_state_dict({"epoch": 1, "batch": 3, "sample": 12})
    assert same(list(resumed), whole[3:])
    rows = data.prepared.rows("train", data.seed)
    drawn = [rows.batch([2], number)["labels"].tolist() for number in range(6)]
    assert len({str(labels) for labels in drawn}) > 1
    assert same(list(data.val_dataloader()), list(data.val_dataloader()))


@pytest.mark.parametrize("objective", ["Masked", "SequenceToSequence", "Classification"])
def test_a_stream_has_the_same_objectives_and_resumes_at_any_batch(objective: str, write: Any, tmp_path: Path) -> None:
    path = write(
        "s.jsonl", "".join(json.dumps({"text": f"line {i}" * (1 + i % 3), "label": i % 3}) + "\n" for i in range(60))
    )
    tokenizer = StreamTokenizer(kind="character", min_frequency=1, sample=40)
    settings: dict[str, Any] = {"sequence_length": 16, "validation_documents": 5, "shuffle_buffer": 20}
    data = StreamedText(str(path), tokenizer=tokenizer, objective=node(objective), cache=str(tmp_path), **settings)
    data.setup()
    whole = list(data.rows().batches(1, 4))
    assert len(whole) == 13
    assert same([batch for batch, _ in data.rows().batches(1, 4, whole[4][1])], [batch for batch, _ in whole[5:]])
    assert same(list(data.val_dataloader()), list(data.val_dataloader()))
    assert data.info["validation"]["rows"] == 5


def test_a_conversation_is_read_from_a_column_of_turns(write: Any, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "你好"}, {"role": "bot", "content": "hello"}]
    path = write("chat.jsonl", json.dumps({"messages": turns}) + "\n")
    data = opened(path, tmp_path / "c", node("Chat"), validation_fraction=0.0, batch_size=1, sequence_length=64)
    (batch,) = epoch(data)
    assert data.tokenizer.decode(batch["input_ids"][0]).startswith("user: 你好\nbot: hello\n")
    with pytest.raises(InputError, match=r"bad\.jsonl, example 1: column 'messages' holds no list of turns"):
        opened(write("bad.jsonl", '{"messages": 3}\n'), tmp_path / "c", node("Chat"))


def test_class_and_arguments_are_in_the_key_of_the_cache(write: Any, tmp_path: Path) -> None:
    path = table(write)
    nodes = [None, node("Masked"), node("Masked", share=0.3), node("Classification", label_column="mood")]
    folders = [opened(path, tmp_path / "c", one).prepared.folder for one in nodes]  # type: ignore[arg-type]
    assert len(set(folders)) == len(nodes)
    causal = {"_target_": "aigc.data.text.objectives.Causal"}
    assert opened(path, tmp_path / "c", causal).prepared.folder == folders[0]
    assert opened(path, tmp_path / "c", node("Masked", share=0.15)).prepared.folder == folders[1]


OWN = """
from functools import cached_property
from aigc.data.text.objectives import Causal

class Mine(Causal):
    def __init__(self, share=0.5, **more):
        self.share = share
        self.note = object()  # no argument, so not part of the key

    @cached_property
    def table(self):
        return {self.share}
"""


def imported(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An objective as a person has it in a file, which they may edit."""
    (folder / "my_objective.py").write_text(source)
    monkeypatch.delitem(sys.modules, "my_objective", raising=False)
    importlib.invalidate_caches()
    return importlib.import_module("my_objective").Mine


def test_the_source_of_one_s_own_class_is_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    objective = imported(tmp_path, OWN, monkeypatch)(share=0.25)
    before = objective.settings()
    assert before["arguments"] == {"share": 0.25}
    assert objective.table == {0.25}
    assert objective.settings() == before, "what was computed since decides nothing"
    assert imported(tmp_path, OWN + "\n# another line", monkeypatch)(share=0.25).settings() != before
    assert imported(tmp_path, OWN, monkeypatch)(share=0.25).settings() == before
    assert "source" not in Causal().settings(), "classes of aigc have a format"


def test_an_argument_that_is_not_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    forgetful = OWN.replace("self.share = share", "pass")
    with pytest.raises(InputError, match=r"data\.objective.*'share'"):
        imported(tmp_path, forgetful, monkeypatch)().settings()


def test_an_argument_that_json_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=r"data\.objective.*'share'"):
        imported(tmp_path, OWN, monkeypatch)(share=tmp_path).settings()


def test_characters_are_those_of_the_tokens_that_are_scored(write: Any, tmp_path: Path) -> None:
    columns = {"prompt_column": "q", "completion_column": "text"}
    turns = [{"role": "user", "content": "你好"}, {"role": "bot", "content": "hello" * 9}]
    chat = write("chat.jsonl", json.dumps({"messages": turns}) + "\n")
    cases: list[tuple[Path, Any, dict[str, Any]]] = [
        (table(write), None, {"packing": False}),
        (table(write), node("SequenceToSequence"), {"sequence_length": 8, **columns}),
        (chat, node("Chat"), {"validation_fraction": 0.0, "batch_size": 1}),
    ]
    for path, objective, settings in cases:
        data = opened(path, tmp_path / "c", objective, **settings)
        rows = data.prepared.rows("train", data.seed)
        labels = [rows.batch([row])["labels"][0] for row in range(len(rows))]
        learned = [data.tokenizer.decode(one[one >= 0], skip_special_tokens=True) for one in labels]
        assert data.info["train"]["characters"] == sum(map(len, learned)), objective
    masked = opened(table(write), tmp_path / "c", node("Masked"))
    assert (masked.info["train"]["characters"], masked.info["train"]["bytes"]) == (0, 0), "which ones is not known"


@pytest.mark.parametrize("streamed", [False, True])
def test_what_a_model_has_learned_is_kept_with_other_data(streamed: bool, write: Any, tmp_path: Path) -> None:
    def with_moods(name: str, *moods: str) -> Any:
        lines = [
            json.dumps({"text": f"{moods[i % len(moods)]} {i}", "label": moods[i % len(moods)]}) for i in range(40)
        ]
        path = write(name, "".join(line + "\n" for line in lines))
        objective, shape = node("Classification"), {"sequence_length": 16, "batch_size": 4, "cache": str(tmp_path)}
        if not streamed:
            return TextData(str(path), objective=objective, tokenizer=CHARACTERS, **shape)
        tokenizer = StreamTokenizer(kind="character", min_frequency=1)
        return StreamedText(str(path), objective=objective, tokenizer=tokenizer, validation_documents=9, **shape)

    first = with_moods("first.jsonl", *MOODS)
    first.setup()
    state = first.state_dict()
    assert state["learned"] == {"classes": ["glad", "mad", "sad"]}
    again = with_moods("first.jsonl", *MOODS)
    again.load_state_dict(state)
    again.setup()
    assert again.prepared.folder == first.prepared.folder, "a resumed run finds what it has prepared"
    for prepared_before in (False, True):
        other = with_moods("other.jsonl", "sad", "mad")
        if prepared_before:
            other.setup()
            assert other.state_dict() != state
        other.load_state_dict(state)
        other.setup()
        assert other.state_dict() == state
        for batch in other.val_dataloader():
            for ids, label in zip(batch["input_ids"], batch["labels"].tolist(), strict=True):
                assert other.tokenizer.decode(ids[ids > 0]).split()[0] == state["learned"]["classes"][label]
    unknown = with_moods("unknown.jsonl", "sad", "bored")
    unknown.load_state_dict(state)
    with pytest.raises(InputError, match=r"data\.objective.*bored.*glad"):
        unknown.setup()
    elsewhere = with_moods("first.jsonl", *MOODS)
    with pytest.raises(InputError, match=r"data\.objective"):
        elsewhere.load_state_dict(state | {"objective": "mine.Other"})


def test_ranks_fill_up_validation_with_batches_without_targets(write: Any, tmp_path: Path) -> None:
    from aigc.data.text.rows import DealtRows

    data = opened(table(write), tmp_path / "c", node("Classification", label_column="mood"))
    rows = data.prepared.rows("validation")
    ranks = [list(DealtRows(rows, 1, rank, 3)) for rank in range(3)]
    assert [len(batches) for batches in ranks] == [2, 2, 2]
    assert sum(batch["target_tokens"] for batches in ranks for batch in batches) == len(rows) == 4
    assert sum(int((batch["labels"] >= 0).sum()) for batches in ranks for batch in batches) == 4


def test_rows_of_any_objective_travel_to_workers_as_a_path(write: Any, tmp_path: Path) -> None:
    rows = opened(table(write), tmp_path / "c", node("Masked")).prepared.rows("train", 3)
    frozen = pickle.dumps(rows)
    assert len(frozen) < 1500
    assert same([pickle.loads(frozen)[1]], [rows[1]])


def test_columns_of_an_objective_that_are_missing_are_named(write: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no column 'moood'; columns: .* Did you mean 'mood'\? Name it with data.obj"):
        opened(table(write), tmp_path / "c", node("Classification", label_column="moood"))
    with pytest.raises(InputError, match=r"no columns, and data\.objective reads label"):
        opened(write("a.txt", "text\n"), tmp_path / "c", node("Classification"))


def test_only_objectives_of_trusted_packages_are_built(write: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.objective"):
        TextData("a.txt", objective={"_target_": "aigc.data.text.TextData"})
    trust._named.clear()
    with pytest.raises(ConfigError, match="not trusted"):
        TextData("a.txt", objective=node("Masked"))

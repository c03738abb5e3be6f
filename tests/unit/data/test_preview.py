"""What `aigc data` shows is what batches hold: learned tokens, whole characters, shares of padding."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from aigc.config import trust
from aigc.data.preview import joined
from aigc.data.text import StreamedText, TextData
from aigc.data.text.chat.settings import ChatSettings
from aigc.data.text.packing import IGNORE
from aigc.data.text.preview import characters, sample_of
from aigc.data.text.tokenizer import encode, make_tokenizer
from aigc.data.text.tokenizer_settings import TokenizerSettings
from aigc.printing import visible
from tests.unit.data.chat import templates


@pytest.fixture
def pairs(write):
    rows = [
        {"prompt": f"问题{n}是什么？", "completion": f"答案 {n} 👍" * (n % 5 + 1), "label": "ab"[n % 2]}
        for n in range(80)
    ]
    return str(write("pairs.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)))


def opened(path, cache, kind=TextData, **changes):
    settings = {"sequence_length": 64, "batch_size": 4, "cache": str(cache)}
    data = kind(path, **(settings | changes))
    data.setup()
    return data


def texts(sample, learned=True, name="input_ids"):
    return "".join(piece.text for piece in sample.sequences[name] if piece.learned == learned)


def test_the_completion_and_its_end_are_learned_and_nothing_else(pairs, tmp_path):
    data = opened(pairs, tmp_path, validation_fraction=0)
    shown = list(data.samples("train", 3))
    rows = [json.loads(line) for line in Path(pairs).read_text("utf-8").splitlines()[:3]]
    assert [texts(one) for one in shown] == [f"{row['completion']}<|end|>" for row in rows]
    assert [texts(one, learned=False) for one in shown] == [f"<|end|>{row['prompt']}" for row in rows]


def test_the_samples_are_the_documents_of_the_batches(pairs, tmp_path):
    data = opened(pairs, tmp_path)
    batch = data.example_rows(100)
    made = {
        tuple(batch["labels"][row][batch["segment_ids"][row] == segment].tolist())
        for row in range(len(batch["labels"]))
        for segment in range(1, int(batch["segment_ids"][row].max()) + 1)
    }
    pieces = [one.sequences["input_ids"] for one in data.samples("train", 1000)]
    shown = [tuple(IGNORE if n is None else n for piece in one for n in piece.labels) for one in pieces]
    assert len(shown) == data.info["train"]["documents"]
    assert set(shown) == made


@pytest.mark.parametrize("packing", [True, False])
def test_the_share_of_padding_is_that_of_the_batches(pairs, tmp_path, packing):
    data = opened(pairs, tmp_path, packing=packing)
    batches = list(data.train_dataloader())
    zeros = sum(int((batch["segment_ids"] == 0).sum()) for batch in batches)
    known = data.describe().splits["train"]
    assert known["padding_share"] == pytest.approx(zeros / sum(batch["segment_ids"].numel() for batch in batches))
    other = opened(pairs, tmp_path, packing=not packing).describe().splits["train"]
    assert known[f"padding_share_with{'out' if packing else ''}_packing"] == other["padding_share"]
    assert known["padding_share"] != other["padding_share"]


def test_rows_of_similar_lengths_are_padded_less(pairs, tmp_path):
    data = opened(pairs, tmp_path, packing=False, group_by_length=True)
    batches = list(data.train_dataloader())
    zeros = sum(int((batch["segment_ids"] == 0).sum()) for batch in batches)
    known = data.describe().splits["train"]["padding_share"]
    assert known == pytest.approx(zeros / sum(batch["segment_ids"].numel() for batch in batches))
    assert known < opened(pairs, tmp_path, packing=False).describe().splits["train"]["padding_share"]


def test_further_validation_sets_are_splits(pairs, write, tmp_path):
    own = write("own.jsonl", json.dumps({"prompt": "甲", "completion": "乙"}) + "\n")
    data = opened(pairs, tmp_path, validation_sets={"own": str(own)})
    assert data.describe().splits["validation/own"]["documents"] == 1
    (sample,) = data.samples("validation/own", 3)
    assert texts(sample, learned=False) == "<|end|>甲"


def test_numbers_of_a_split(pairs, tmp_path):
    data = opened(pairs, tmp_path, sequence_length=16)
    known = data.describe()
    train = known.splits["train"]
    lengths = sorted(len([n for p in one.sequences["input_ids"] for n in p.ids]) for one in data.samples("train", 999))
    assert (train["length_min"], train["length_max"]) == (lengths[0], lengths[-1])
    assert train["length_max"] <= 16
    assert train["cut"] > 0
    assert train["target_share"] == train["target_tokens"] / train["tokens"]
    assert (known.facts["format"], known.facts["columns"]) == ("prompt_completion", ["prompt", "completion"])
    assert known.batch["input_ids"] == [4, 16]


def test_a_stream_shows_its_beginning_without_what_is_held_out(pairs, tmp_path):
    data = opened(pairs, tmp_path, StreamedText, validation_documents=5)
    known = data.describe()
    assert known.splits["train"]["examples"] == 75
    assert known.facts["train_documents_read"] == 75
    assert texts(next(iter(data.samples("train", 1))), learned=False) == "<|end|>问题5是什么？"
    assert texts(next(iter(data.samples("validation", 1))), learned=False) == "<|end|>问题0是什么？"


@pytest.mark.parametrize("named", ["qwen2_5", "plain", "file"])
def test_it_is_told_whose_chat_template_is_used(named, write, tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": f"问{n}"}, {"role": "assistant", "content": "答"}]} for n in range(9)
    ]
    path = write("chat.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    templates.tokenizer("" if named == "plain" else "qwen2_5").save_pretrained(tmp_path / "model")
    file = str(write("mine.jinja", templates.source("qwen2_5"))) if named == "file" else None
    own = TokenizerSettings(kind="pretrained", path=str(tmp_path / "model"))
    chat = ChatSettings(template=file, system="简短")
    data = opened(str(path), tmp_path, tokenizer=own, chat=chat, batch_size=1, validation_fraction=0)
    facts = data.describe().facts
    assert facts["chat_template"] == {"qwen2_5": "the tokenizer's own", "plain": "plain", "file": file}[named]
    assert facts["tokenizer"] == own.path
    assert facts["end_tokens"] == ["<|end|>"] + ["<|im_end|>"] * (named != "plain")
    (sample,) = data.samples("train", 1)
    assert texts(sample) == ("答<|end|>" if named == "plain" else "答<|im_end|>")


@pytest.fixture
def of_ones_own(monkeypatch):
    monkeypatch.setattr(trust, "_named", ["tests"])
    return lambda name: {"_target_": f"tests.unit.data.objectives.{name}"}


def test_a_hidden_token_is_shown_with_what_is_expected(pairs, tmp_path, of_ones_own):
    data = opened(pairs, tmp_path, objective=of_ones_own("Masked"), text_column="completion")
    (sample,) = data.samples("train", 1)
    hidden = [piece for piece in sample.sequences["input_ids"] if piece.learned]
    assert hidden
    assert {piece.text for piece in hidden} == {"<|pad|>"}
    assert all(piece.expected and piece.expected in "答案 0 👍" for piece in hidden)
    assert [piece for piece in joined(sample.sequences["input_ids"]) if piece.expected] == hidden


def test_labels_apart_are_a_sequence_of_their_own(pairs, tmp_path, of_ones_own):
    columns = {"prompt_column": "prompt", "completion_column": "completion"}
    data = opened(pairs, tmp_path, objective=of_ones_own("SequenceToSequence"), **columns)
    (sample,) = data.samples("train", 1)
    assert texts(sample, learned=False) == "问题0是什么？"
    assert texts(sample, name="labels") == "答案 0 👍<|end|>"


def test_a_class_is_shown_as_its_number(pairs, tmp_path, of_ones_own):
    data = opened(pairs, tmp_path, objective=of_ones_own("Classification"), text_column="prompt", validation_fraction=0)
    shown = list(data.samples("train", 2))
    assert [one.values["classes"] for one in shown] == [0, 1]
    assert texts(shown[0], learned=False) == "问题0是什么？"


def test_two_answers_of_one_batch_are_both_shown():
    tokenizer = make_tokenizer(TokenizerSettings(kind="character", min_frequency=1), ["好坏吗"])
    ids = [torch.tensor([one]) for one in encode(tokenizer, ["吗好", "吗坏"])]
    batch = {"chosen_input_ids": ids[0], "chosen_labels": ids[0], "rejected_input_ids": ids[1]}
    sample = sample_of(batch, 2, tokenizer)
    assert texts(sample, name="chosen_input_ids") == "吗好"
    assert texts(sample, learned=False, name="rejected_input_ids") == "吗坏"


@pytest.mark.parametrize("kind", ["bpe", "character"])
def test_tokens_that_spell_one_character_are_joined(kind):
    tokenizer = make_tokenizer(TokenizerSettings(kind=kind, vocabulary_size=258), ["abc " * 9])
    text = "a 床👍\n\u3000é𠀀c"
    ids = encode(tokenizer, [text])[0]
    found = list(characters(tokenizer, ids))
    assert len(ids) > len(text)
    assert [one for _, one in found] == list(text)
    assert [index for group, _ in found for index in group] == ids


def test_broken_bytes_are_shown_and_change_nothing_after_them():
    tokenizer = make_tokenizer(TokenizerSettings(kind="bpe", vocabulary_size=258), ["abc"])
    whole = encode(tokenizer, ["床ab"])[0]
    found = list(characters(tokenizer, [whole[0], *whole[1:2], *whole[3:]]))  # 床 without its last byte
    assert [text for _, text in found][-2:] == ["a", "b"]
    assert set("".join(text for _, text in found[:-2])) == {"\ufffd"}
    assert [index for group, _ in found for index in group] == [whole[0], whole[1], *whole[3:]]


def test_a_space_that_a_decoder_leaves_out_at_the_beginning_is_kept_inside():
    backend = Tokenizer(models.WordLevel({"▁the": 0, "▁cat": 1, "s": 2, "</s>": 3}, unk_token="</s>"))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    assert [text for _, text in characters(tokenizer, [0, 1, 2, 0])] == ["the", " cat", "s", " the"]


def test_characters_that_would_not_show_are_escaped():
    assert visible("a\x1b[31m\u202e\x07\r\t\xa0") == "a\\x1b[31m\\u202e\\x07\\r\\t\\xa0"
    assert visible("床前\u3000👨\u200d👩 é") == "床前\u3000👨\u200d👩 é"
    assert visible("a\nb") == "a\\n\nb"

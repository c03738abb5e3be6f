"""Input ids and labels of conversations and of pairs are those of TRL's SFTTrainer on the same rows."""

import json

import pytest
import torch
from datasets import Dataset
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel
from trl import SFTConfig, SFTTrainer

from aigc.data.text import TextData
from aigc.data.text.tokenizer_settings import TokenizerSettings
from tests.unit.data.chat.templates import source, tokenizer

CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"question {number}"},
            {"role": "assistant", "content": f"first answer {number}"},
            {"role": "user", "content": "more 再来"},
            {"role": "assistant", "content": "the end 完"},
        ]
    }
    for number in range(12)
]
PAIRS = [{"prompt": f"question {number}:\n", "completion": f"answer {number}"} for number in range(12)]


def of_trl(folder, reader, rows, **settings):
    config = GPT2Config(vocab_size=len(reader), n_layer=1, n_head=1, n_embd=8, n_positions=128)
    arguments = SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        max_length=128,
        report_to=[],
        use_cpu=True,
        **settings,
    )
    data = Dataset.from_list(rows)
    trainer = SFTTrainer(GPT2LMHeadModel(config), arguments, train_dataset=data, processing_class=reader)
    return [(batch["input_ids"][0].tolist(), batch["labels"][0].tolist()) for batch in trainer.get_train_dataloader()]


def of_aigc(folder, reader, rows):
    reader.save_pretrained(folder / "tokenizer")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    settings = TokenizerSettings(kind="pretrained", path=str(folder / "tokenizer"))
    data = TextData(
        str(path),
        tokenizer=settings,
        sequence_length=128,
        packing=False,
        validation_fraction=0,
        cache=str(folder / "cache"),
    )
    data.setup()
    batch = data.example_rows(len(rows))
    found = []
    for ids, labels, segments in zip(batch["input_ids"], batch["labels"], batch["segment_ids"], strict=True):
        length = int((segments > 0).sum())
        found.append((ids[:length].tolist(), labels[:length].tolist()))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["llama3", "cohere"])
def test_conversations_with_loss_on_the_assistant_alone(tmp_path, name):
    reader = tokenizer(name)
    marked = AutoTokenizer.from_pretrained(_saved(reader, tmp_path / "marked"))
    marked.chat_template = source(f"{name}_training")
    marked.padding_side = "right"
    reference = of_trl(tmp_path, marked, CHATS, assistant_only_loss=True)
    assert of_aigc(tmp_path, reader, CHATS) == reference
    assert any(label == -100 for _, labels in reference for label in labels)


@pytest.mark.slow
def test_pairs_with_loss_on_the_completion_alone(tmp_path):
    reader = AutoTokenizer.from_pretrained(_saved(tokenizer(), tmp_path / "plain"))
    reader.bos_token = None
    reference = of_trl(tmp_path, reader, PAIRS, completion_only_loss=True)
    assert of_aigc(tmp_path, reader, PAIRS) == reference
    ends = [labels[-1] for _, labels in reference]
    assert torch.tensor(ends).eq(reader.eos_token_id).all()


def _saved(reader, folder):
    reader.save_pretrained(folder)
    return folder

"""Conversations in files: recognised, split, packed, cached, held out, streamed."""

import copy
import json
import logging

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from aigc.data.progress import log_once
from aigc.data.text import StreamedText, TextData
from aigc.data.text.chat.settings import ChatSettings
from aigc.data.text.packing import IGNORE
from aigc.data.text.stream_prepared import StreamTokenizer
from aigc.data.text.tokenizer_settings import TokenizerSettings
from aigc.errors import InputError
from tests.unit.data.chat.templates import tokenizer


def rows(count=40, answer="答案{}"):
    return [
        {
            "messages": [
                {"role": "user", "content": f"问题{i}是什么"},
                {"role": "assistant", "content": answer.format(i)},
                {"role": "user", "content": "再说"},
                {"role": "assistant", "content": f"又{i}"},
            ]
        }
        for i in range(count)
    ]


@pytest.fixture
def table(write):
    return lambda made, name="chat.jsonl": str(
        write(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made))
    )


def opened(path, cache, kind=TextData, **changes):
    settings = {"sequence_length": 64, "batch_size": 4, "cache": str(cache)}
    data = kind(path, **(settings | changes))
    data.setup()
    return data


def texts_of(batch, reader):
    """The documents of a batch as (text, learned text)."""
    found = []
    for ids, labels, segments in zip(batch["input_ids"], batch["labels"], batch["segment_ids"], strict=True):
        for number in range(1, int(segments.max()) + 1):
            of = segments == number
            learned = ids[of & (labels != IGNORE)]
            assert torch.equal(learned, labels[of & (labels != IGNORE)])
            found.append((reader.decode(ids[of]), reader.decode(learned)))
    return found


def test_conversations_are_recognised_and_their_answers_learned(table, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = table(rows())
    data = opened(path, tmp_path)
    assert any("read as messages" in message for message in caplog.messages)
    batch = data.example_rows(4)
    made = texts_of(batch, data.tokenizer)
    assert batch["packed"]
    assert len(made) > 4
    assert batch["target_tokens"] == int((batch["labels"] != IGNORE).sum())
    for text, learned in made:
        number = text.split("问题")[1].split("是")[0]
        assert learned == f"答案{number}<|end|>又{number}<|end|>"
    assert data.info["train"]["target_tokens"] < data.info["train"]["tokens"]
    assert data.info["train"]["documents"] == data.info["train"]["examples"] == 36


def test_the_mask_is_the_same_packed_and_apart(table, tmp_path):
    path = table(rows())
    packed, apart = (opened(path, tmp_path, packing=packing) for packing in (True, False))
    every = [sorted(texts_of(one.example_rows(100), one.tokenizer)) for one in (packed, apart)]
    assert every[0] == every[1]


def test_held_out_conversations_ask_for_the_last_answer(table, tmp_path):
    data = opened(table(rows()), tmp_path)
    example = data.heldout[0]
    prompt, reference = data.question(example)
    assert (prompt.text, reference) == ("再说", example.text)
    assert data.tokenizer.decode(prompt.ids).endswith("user:\n再说\nassistant:\n")
    batch = data.prepared.rows("validation").batch([0])
    assert tuple(batch["input_ids"][0][: len(prompt.ids)].tolist()) == prompt.ids


def test_the_reference_has_what_the_template_writes_inside_of_answers(table, tmp_path):
    tokenizer("qwen3").save_pretrained(tmp_path / "model")
    settings = TokenizerSettings(kind="pretrained", path=str(tmp_path / "model"))
    data = opened(table(rows()), tmp_path, tokenizer=settings)
    example = data.heldout[0]
    assert data.question(example)[1] == f"<think>\n\n</think>\n\n{example.text}"


def test_an_end_that_is_no_token_is_an_error(table, tmp_path):
    file = tmp_path / "chatml.jinja"
    file.write_text("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")
    chat, path = ChatSettings(template=str(file)), table(rows())
    with pytest.raises(InputError, match=r"data\.tokenizer\.add_special_tokens"):
        opened(path, tmp_path, chat=chat)
    added = TokenizerSettings(kind="bpe", add_special_tokens=["<|im_start|>", "<|im_end|>"])
    data = opened(path, tmp_path, chat=chat, tokenizer=added, sequence_length=128)
    assert data.tokenizer.convert_ids_to_tokens(data.end_ids) == ["<|im_end|>"]


def test_the_template_and_its_end_token_belong_to_the_model(table, tmp_path):
    folder = tmp_path / "model"
    tokenizer("qwen2_5").save_pretrained(folder)
    settings = TokenizerSettings(kind="pretrained", path=str(folder))
    data = opened(table(rows()), tmp_path, tokenizer=settings)
    assert data.tokenizer.convert_ids_to_tokens(data.end_ids) == ["<|im_end|>"]
    data.save_beside_model(tmp_path / "saved")
    assert (
        "im_start"
        in TextData(
            table(rows()),
            tokenizer=TokenizerSettings(kind="pretrained", path=str(tmp_path / "saved")),
            cache=str(tmp_path),
            sequence_length=64,
        ).recipe.ingredients()["chat_template"]
    )


def test_two_tokenizers_that_differ_in_their_template_alone_are_kept_apart(table, tmp_path):
    path = table(rows())
    for name, text in (("one", None), ("other", "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}")):
        reader = tokenizer(text="")
        reader.chat_template = text
        reader.save_pretrained(tmp_path / name)
    data = [
        opened(path, tmp_path, tokenizer=TokenizerSettings(kind="pretrained", path=str(tmp_path / name)))
        for name in ("one", "other")
    ]
    assert data[0].prepared.folder != data[1].prepared.folder
    assert "[user]" in texts_of(data[1].example_rows(1), data[1].tokenizer)[0][0]


def test_a_template_in_a_file_stays_what_it_was_for_a_model(table, tmp_path, write):
    path = table(rows())
    file = write("own.jinja", "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}")
    chat = ChatSettings(template=str(file))
    data = opened(path, tmp_path, chat=chat)
    state = data.state_dict()
    file.unlink()
    resumed = TextData(path, chat=chat, sequence_length=64, batch_size=4, cache=str(tmp_path))
    resumed.load_state_dict(state)
    resumed.setup()
    assert torch.equal(resumed.example_rows(2)["input_ids"], data.example_rows(2)["input_ids"])
    with pytest.raises(InputError, match=r"data\.chat\.template"):
        opened(path, tmp_path / "other", chat=chat)


@pytest.mark.parametrize("chat", [{"system": "be kind"}, {"template": "nowhere.jinja"}, {"learn": "last_answer"}])
@pytest.mark.parametrize("kind", [TextData, StreamedText])
def test_settings_of_conversations_are_refused_for_other_rows(kind, chat, table, tmp_path):
    path = table([{"prompt": f"q{i}", "completion": f"a{i}"} for i in range(20)])
    with pytest.raises(InputError, match=rf"data\.chat\.{next(iter(chat))} .*messages"):
        opened(path, tmp_path, kind, chat=ChatSettings(**chat))
    assert not [*tmp_path.glob("text/*"), *tmp_path.glob("stream/*")]


def test_a_template_in_the_home_folder_is_read_again_when_it_changes(table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path, found = table(rows()), []
    for role in ("<{{ m.role }}>", "[{{ m.role }}]"):
        text = f"{{% for m in messages %}}{role}{{{{ m.content }}}}{{% endfor %}}"
        (tmp_path / "own.jinja").write_text(text)
        found.append(opened(path, tmp_path, chat=ChatSettings(template="~/own.jinja")).tokenizer.chat_template)
    assert "<" in found[0]
    assert "[" in found[1]


def test_of_several_templates_the_default_is_taken(table, tmp_path):
    text = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    for name, fits in (("default", True), ("rag", False)):
        reader = copy.deepcopy(tokenizer())
        reader.chat_template = {name: text, "tool_use": "{{ nothing.at.all }}"}
        reader.save_pretrained(tmp_path / name)
        settings = TokenizerSettings(kind="pretrained", path=str(tmp_path / name))
        if fits:
            assert opened(table(rows()), tmp_path, tokenizer=settings).tokenizer.chat_template == text
        else:
            with pytest.raises(InputError, match="rag, tool_use"):
                opened(table(rows()), tmp_path, tokenizer=settings)


def test_a_prompt_may_be_longer_than_an_id_is_large(table, tmp_path):
    made = [{"messages": [{"role": "user", "content": "啊" * 70_000}, {"role": "assistant", "content": "好"}]}]
    settings = {"sequence_length": 80_000, "validation_fraction": 0, "batch_size": 1}
    data = opened(table(made), tmp_path, tokenizer=TokenizerSettings(kind="character"), **settings)
    assert texts_of(data.example_rows(1), data.tokenizer)[0][1] == "好<|end|>"


def test_a_table_in_columns_adds_no_arguments_to_calls(tmp_path):
    calls = [{"function": {"name": name, "arguments": {name: 1}}} for name in ("a", "b")]
    made = [
        {"messages": [rows(1)[0]["messages"][0], {"role": "assistant", "content": None, "tool_calls": [call]}]}
        for call in calls * 10
    ]
    pq.write_table(pa.Table.from_pylist(made), tmp_path / "calls.parquet")
    file = tmp_path / "show.jinja"
    file.write_text(
        "{% for m in messages %}{{ m.role }}:{% if m.tool_calls %}{{ m.tool_calls | tojson }}{% endif %}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    data = opened(
        str(tmp_path / "calls.parquet"), tmp_path, chat=ChatSettings(template=str(file)), validation_fraction=0
    )
    learned = {text for _, text in texts_of(data.example_rows(2), data.tokenizer)}
    assert learned == {json.dumps([call]) + "<|end|>" for call in calls}


def test_a_template_that_shows_the_date_is_warned_of(table, tmp_path, caplog):
    log_once.cache_clear()
    file = tmp_path / "date.jinja"
    file.write_text(
        "{% if not date_string is defined %}{% set date_string = strftime_now('%Y') %}{% endif %}{{ date_string }}"
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    )
    for variables, warned in (({"date_string": "2026"}, False), (None, True)):
        opened(table(rows()), tmp_path, chat=ChatSettings(template=str(file), variables=variables))
        assert any("data.chat.variables={date_string" in message for message in caplog.messages) == warned


def test_answers_that_do_not_fit_are_dropped_and_counted(table, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    long = rows(4)
    for row in long:
        row["messages"][-1]["content"] = "".join(map(chr, range(0x4E00, 0x4E00 + 100)))
    path, characters = table([*long, *rows(40)]), TokenizerSettings(kind="character")
    data = opened(path, tmp_path, tokenizer=characters, validation_fraction=0)
    assert (data.info["train"]["dropped"], data.info["train"]["documents"]) == (4, 40)
    assert any("dropped" in message for message in caplog.messages)


def test_streamed_answers_that_do_not_fit_are_counted_and_said(table, tmp_path, caplog):
    made = rows(20)
    for row in made[10::2]:
        row["messages"][-1]["content"] = "".join(map(chr, range(0x4E00, 0x4E00 + 100)))
    data = opened(table(made), tmp_path, StreamedText, validation_documents=4)
    caplog.set_level(logging.WARNING)
    streamed = data.rows()
    assert sum(1 for _ in streamed.batches(0, 1)) > 0
    assert streamed.dropped == 5
    assert any("5 documents dropped" in message for message in caplog.messages)


def test_a_streamed_row_that_cannot_be_used_is_named(table, tmp_path):
    made = rows(60)
    made[40]["messages"][-1]["content"] = ""
    characters = StreamTokenizer(kind="character", sample=10)
    data = opened(table(made), tmp_path, StreamedText, validation_documents=4, tokenizer=characters)
    with pytest.raises(InputError, match=r"chat\.jsonl, example 41: message 4"):
        list(data.rows().batches(0, 1))
    file = tmp_path / "refuses.jinja"
    refused = "{% if '45' in m.content %}{{ raise_exception('no') }}{% endif %}"
    file.write_text("{% for m in messages %}" + refused + "{{ m.content }}{% endfor %}")
    chat = ChatSettings(template=str(file))
    path = table(rows(60), "other.jsonl")
    data = opened(path, tmp_path, StreamedText, validation_documents=4, tokenizer=characters, chat=chat)
    with pytest.raises(InputError, match=r"other\.jsonl, row 46 "):
        list(data.rows().batches(0, 1))


def test_streamed_conversations_are_the_same(table, tmp_path):
    path = table(rows())
    settings = {"validation_documents": 4, "shuffle": False}
    streamed = opened(path, tmp_path, StreamedText, tokenizer=StreamTokenizer(), **settings)
    batch = next(streamed.rows().batches(0, 4))[0]
    for text, learned in texts_of(batch, streamed.tokenizer):
        number = text.split("问题")[1].split("是")[0]
        assert learned == f"答案{number}<|end|>又{number}<|end|>"
    assert len(streamed.heldout) == 4
    assert streamed.question(streamed.heldout[0])[1] == "又0"


def test_an_error_in_a_row_names_it(table, tmp_path):
    made = rows()
    made[6]["messages"][1]["content"] = ""
    with pytest.raises(InputError, match="7"):
        opened(table(made), tmp_path)
    file = tmp_path / "bad.jinja"
    file.write_text("{% for m in messages %}{{ m.role }}{% endfor %}")
    path = table(rows())
    with pytest.raises(InputError, match="row 1"):
        opened(path, tmp_path, chat=ChatSettings(template=str(file)))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"format": "mesages"}, "mesages"),
        ({"format": "messages", "text_column": "text"}, "data.text_column"),
        ({"format": "text", "prompt_column": "a", "completion_column": "b"}, "data.prompt_column"),
        ({"format": "alpaca", "objective": {"_target_": "aigc.data.text.objectives.Causal"}}, "data.objective"),
        ({"format": "sharegpt"}, "conversations"),
    ],
)
def test_settings_that_contradict_each_other(table, tmp_path, changes, key):
    with pytest.raises(InputError, match=key):
        opened(table(rows()), tmp_path, **changes)


def test_pairs_are_recognised_too(table, tmp_path):
    made = [{"prompt": f"上{i}", "completion": f"下{i}"} for i in range(40)]
    data = opened(table(made), tmp_path)
    assert data.heldout[0].prompt.startswith("上")
    text = [{"prompt": "x", "text": f"只有这个{i}"} for i in range(40)]
    assert opened(table(text, "text.jsonl"), tmp_path, batch_size=1).heldout[0].prompt == ""

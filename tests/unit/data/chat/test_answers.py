"""What of an answer is learned, compared with, and may be written."""

import json

import pytest
from transformers import GPT2Config, GPT2LMHeadModel

from aigc.data.text.chat.conversation import Conversation, read_message
from aigc.data.text.chat.documents import ChatDocuments
from aigc.data.text.chat.template import ChatTemplate
from aigc.generation.configuration import configuration
from aigc.generation.decoding import decode_until
from aigc.generation.sampling import Sampling
from tests.unit.data.chat.templates import messages, tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def learned_ids(reader, conversation):
    template = ChatTemplate(reader)
    (document,) = next(ChatDocuments(template, 10_000).of([Conversation(conversation)], ["row 1"]))
    before, learned = document.spans[:2]
    return document.ids[before : before + learned]


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "glm4moe", "gptoss", "llama3"])
def test_the_reference_is_what_a_model_writes_that_has_learned_the_answer(name):
    reader = tokenizer(name)
    conversation, template = messages("question", "hello there"), ChatTemplate(reader)
    ends = {reader.eos_token_id, *template.end_ids}
    reference = template.answer(conversation)
    assert reference == decode_until(reader, learned_ids(reader, conversation), ends, ())
    assert reference.endswith("hello there")
    assert ("<think>" in reference) == (name in ("qwen3", "glm4moe"))


@pytest.mark.parametrize("name", ["qwen2_5", "gptoss", "lfm2_2_5"])
def test_special_tokens_that_answers_hold_may_be_written(name):
    reader = tokenizer(name)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=len(reader), n_layer=1, n_head=1, n_embd=8, n_positions=8))
    model.generation_config.eos_token_id = [reader.eos_token_id, *ChatTemplate(reader).end_ids]
    never = {*configuration(model, reader, Sampling(), 4).suppress_tokens}
    function = {"name": "f", "arguments": {"a": 1}}
    call = read_message({"role": "assistant", "content": "", "tool_calls": [{"function": function}]}, 2)
    for answer in (messages("question", "hello there")[1], call):
        assert not never & {*learned_ids(reader, (*messages("question"), answer))}
    asks = {"qwen2_5": "<|im_start|>", "gptoss": "<|constrain|>", "lfm2_2_5": "<|im_start|>"}[name]
    assert asks not in reader.get_vocab() or reader.convert_tokens_to_ids(asks) in never


def test_a_turn_that_ends_with_a_text_that_is_no_token_is_an_error():
    reader = tokenizer()
    with pytest.raises(ValueError, match=r"<\|im_end\|>") as raised:
        ChatTemplate(reader, CHATML).answers.check_end()
    assert 'data.tokenizer.add_special_tokens=["<|im_start|>","<|im_end|>"]' in str(raised.value)
    ChatTemplate(tokenizer(text=CHATML)).answers.check_end()
    for text in ("{{ m.role }}: {{ m.content }}\n", "{{ m.role }}: {{ m.content }}{{ eos_token }}"):
        ChatTemplate(reader, f"{{% for m in messages %}}{text}{{% endfor %}}").answers.check_end()


def test_an_answer_that_ends_in_the_text_of_an_end_token_keeps_it_as_text():
    reader = tokenizer("qwen2_5")
    end = reader.convert_tokens_to_ids("<|im_end|>")
    ids = learned_ids(reader, messages("how does a turn end?", "with <|im_end|>"))
    assert reader.decode(ids) == "with <|im_end|><|im_end|>"
    assert ids.count(end) == 1
    assert ids[-1] == end


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
def test_no_character_of_a_message_means_a_special_token(role):
    reader = tokenizer("qwen2_5")
    odd = "".join(map(chr, range(0xF0000, 0xF0020))) + chr(0xF0000)
    texts = {"system": "be kind", "user": "a", "assistant": "b"}
    plain, spelled = (
        [read_message({"role": one, "content": text}, 1) for one, text in made.items()]
        for made in (texts, texts | {role: f"x{odd}y"})
    )
    shown = [reader.decode(learned_and_more(reader, made)) for made in (plain, spelled)]
    assert f"x{odd}y" in shown[1]
    assert shown[1].count("<|im_") == shown[0].count("<|im_")


def learned_and_more(reader, conversation):
    (document,) = next(ChatDocuments(ChatTemplate(reader), 10_000).of([Conversation(tuple(conversation))], ["row 1"]))
    return document.ids


@pytest.mark.parametrize("name", ["llama3_1", "qwen2_5", "qwen3", "deepseekv3"])
def test_arguments_of_calls_may_be_json_in_a_text(name):
    template = ChatTemplate(tokenizer(name))
    shown = []
    for arguments in ({"a": 1}, json.dumps({"a": 1})):
        call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
        row = {"role": "assistant", "content": None, "tool_calls": [call]}
        shown.append(template.render([*messages("a"), read_message(row, 2)]))
    assert shown[0] == shown[1]
    assert '{"a": 1}' in shown[0]


def test_a_long_prompt_loses_its_oldest_turns_and_keeps_the_system_message():
    reader = tokenizer("qwen2_5")
    system = read_message({"role": "system", "content": "SYS"}, 1)
    prompt = ChatTemplate(reader).prompt((system, *messages("one", "two", "three", "four", "five")))
    shown = reader.decode(prompt.shortened(len(prompt.ids) - 1))
    assert shown.startswith("<|im_start|>system\nSYS<|im_end|>\n<|im_start|>user\nthree")
    assert shown.endswith("five<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.shortened(len(prompt.ids)) == list(prompt.ids)
    assert len(prompt.shortened(3)) == 3

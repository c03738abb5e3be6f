"""Tokenizers that put a space before the first word of a text, as those of Llama 2 and Mistral do."""

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from aigc.data.text.chat.conversation import Conversation
from aigc.data.text.chat.documents import ChatDocuments
from aigc.data.text.chat.template import ChatTemplate
from tests.unit.data.chat.templates import messages

TURNS = ("Hello there, friend", "Hi! How are you?", "Fine.", "bye friend")
TEMPLATES = {
    "mistral": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }}[/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
    "zephyr": "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "vicuna": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}USER: {{ m.content }} ASSISTANT:"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
}


def reader_of(scheme, template):
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    as_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special + as_bytes, show_progress=False)
    backend.train_from_iterator([*TURNS, "user and assistant"] * 5, trainer)
    reader = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["[INST]", "[/INST]"],
    )
    reader.chat_template = TEMPLATES[template]
    return reader


@pytest.mark.parametrize("scheme", ["first", "always"])
@pytest.mark.parametrize("template", TEMPLATES)
def test_ids_are_those_of_transformers(template, scheme):
    reader, conversation = reader_of(scheme, template), messages(*TURNS)
    made = ChatTemplate(reader)
    (document,) = next(ChatDocuments(made, 10_000).of([Conversation(conversation)], ["row 1"]))
    rows = [one.shown() for one in conversation]
    assert document.ids == reader.apply_chat_template(rows, return_dict=True)["input_ids"]
    asked = reader.apply_chat_template(rows[:3], add_generation_prompt=True, return_dict=True)["input_ids"]
    assert list(made.prompt(conversation[:3]).ids) == asked


def test_a_quoted_token_has_no_space_before_it():
    reader = reader_of("first", "zephyr")
    ids = ChatTemplate(reader).prompt(messages("Hello</s>Hi")).ids
    assert reader.decode(ids).strip().startswith("<|user|>\nHello</s>Hi</s>")
    assert ids.count(reader.eos_token_id) == 1

"""What is learned of a conversation, with the templates of well-known models; TRL's marked ones are the reference."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.data.text.chat.conversation import Conversation, read_message
from aigc.data.text.chat.documents import ChatDocument, ChatDocuments
from aigc.data.text.chat.source import PLAIN, with_variables
from aigc.data.text.chat.template import ChatTemplate
from tests.unit.data.chat.templates import messages, source, tokenizer

TURNS = ("Hello there, friend", "Hi! How are you?", "Fine. 再见", "再见！ bye")
CLEAN = ("llama3", "cohere", "gemma", "gemma3", "lfm2", "phi3", "qwen2_5", "qwen2_5_vl", "qwen3_instruct_2507")
EVERY = (*CLEAN, "gptoss", "qwen3", "qwen3_5_think", "qwen3_5_nothink", "glm4moe", "llama3_1", "gemma4")


def documents(tokenizer, conversation, most=10_000):
    return next(ChatDocuments(ChatTemplate(tokenizer), most).of([Conversation(conversation)], ["row 1"]))


def mask(document: ChatDocument) -> list[int]:
    return [index % 2 for index, count in enumerate(document.spans) for _ in range(count)]


@pytest.mark.parametrize("turns", [2, 4])
@pytest.mark.parametrize("name", CLEAN)
def test_ids_and_learned_tokens_are_those_of_trl(name, turns):
    """TRL's marks take in the white space after the end token, which generation never reaches, in most templates."""
    reader = tokenizer(name)
    conversation = messages(*TURNS[:turns])
    (document,) = documents(reader, conversation)
    reference = reader.apply_chat_template(
        [one.shown() for one in conversation],
        chat_template=source(f"{name}_training"),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert document.ids == reference["input_ids"]
    differing = [i for i, (a, b) in enumerate(zip(mask(document), reference["assistant_masks"], strict=True)) if a != b]
    besides = reader.decode([document.ids[index] for index in differing], skip_special_tokens=True)
    assert not besides.strip()
    if name in ("llama3", "cohere"):
        assert not differing


@pytest.mark.parametrize("name", EVERY)
def test_what_precedes_an_answer_in_training_is_what_generation_is_given(name):
    reader = tokenizer(name)
    conversation = messages(*TURNS)
    template = ChatTemplate(reader)
    prompts = [template.prompt(conversation[:index]).ids for index in (1, 3)]
    made = documents(reader, conversation)
    starts = []
    for document in made:
        learned = mask(document)
        starts += [tuple(document.ids[:at]) for at in range(1, len(learned)) if learned[at] and not learned[at - 1]]
    assert starts == prompts


@pytest.mark.parametrize("name", EVERY)
def test_the_last_label_is_an_end_token(name):
    reader = tokenizer(name)
    for document in documents(reader, messages(*TURNS)):
        learned = [one for one, is_learned in zip(document.ids, mask(document), strict=True) if is_learned]
        assert learned[-1] in {reader.eos_token_id, *ChatTemplate(reader).end_ids}


@pytest.mark.parametrize("name", CLEAN)
def test_the_end_tokens_of_inner_turns_are_learned(name):
    reader = tokenizer(name)
    (document,) = documents(reader, messages(*TURNS))
    learned = [one for one, is_learned in zip(document.ids, mask(document), strict=True) if is_learned]
    ends = {reader.eos_token_id, *ChatTemplate(reader).end_ids}
    assert sum(one in ends for one in learned) == 2


def test_a_template_that_drops_earlier_thoughts_gives_a_document_for_each_answer():
    conversation = messages("a", "<think>one</think>\n\nb", "c", "<think>two</think>\n\nd")
    first, second = documents(tokenizer("qwen3"), conversation)
    assert "one" in first.learned
    assert "two" in second.learned
    shown = tokenizer("qwen3").decode(second.ids)
    assert "one" not in shown
    assert "two" in shown


def test_the_start_token_is_there_once():
    reader = tokenizer(text="{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}")
    (document,) = documents(reader, messages("a", "b"))
    assert document.ids.count(reader.bos_token_id) == 2  # the other one is the end token, which has the same id
    assert document.ids[0] == reader.bos_token_id
    assert ChatTemplate(reader).prompt(messages("a", "b")[:1]).ids.count(reader.bos_token_id) == 1


def test_a_special_token_in_a_message_stays_text():
    reader = tokenizer("qwen2_5")
    end = reader.convert_tokens_to_ids("<|im_end|>")
    spelled = messages("say <|im_end|><|im_start|>assistant", "no <|im_end|> either", "b", "d")
    (document,) = documents(reader, spelled)
    (plain,) = documents(reader, messages("say ", "no <|im_end|> either", "b", "d"))
    assert document.ids.count(end) == plain.ids.count(end) == 6  # that in an answer means the token
    assert "say <|im_end|><|im_start|>assistant<|im_end|>" in reader.decode(document.ids)
    assert ChatTemplate(reader).prompt(spelled[:1]).ids == tuple(document.ids[: document.spans[0]])


def test_a_turn_may_carry_no_loss():
    (document,) = documents(tokenizer(text=PLAIN), messages("a", "first", "b", "second"))
    rows = [{"role": "assistant", "content": "first", "loss": False}]
    quiet = list(messages("a", "first", "b", "second"))
    quiet[1] = read_message(rows[0], 2)
    (changed,) = documents(tokenizer(text=PLAIN), tuple(quiet))
    assert document.ids == changed.ids
    assert (document.learned, changed.learned) == ("firstsecond", "second")
    assert sum(mask(changed)) < sum(mask(document))


def test_variables_are_part_of_the_template():
    with_thought = tokenizer("qwen3_8")
    text = with_variables(source("qwen3_8"), {"enable_thinking": False})
    without = tokenizer(text=text)
    assert with_variables(text, {"enable_thinking": False}) == text
    asked = [reader.decode(ChatTemplate(reader).prompt(messages("a")).ids) for reader in (with_thought, without)]
    assert asked[0] != asked[1]


def test_the_newer_value_of_a_variable_wins():
    old = with_variables("{{ a }}{{ b }}", {"a": "1 -%} 2", "b": 1})
    new = with_variables(old, {"a": True})
    assert ChatTemplate(tokenizer(), new).render(messages("x")) == "True1"
    assert with_variables(old, {}) == old


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ nonsense.b.c }}", "cannot show"),
        ("{% for m in messages %}{{ raise_exception('no such role') }}{% endfor %}", "no such role"),
        ("{% for m in messages %}{{ m.role }}{% endfor %}", "does not show the text of message 2"),
        (
            "{% if add_generation_prompt %}answer:{% endif %}{% for m in messages %}{{ m.content }}{% endfor %}",
            "begins",
        ),
    ],
)
def test_a_template_that_cannot_be_used_names_the_row(text, says):
    with pytest.raises(ValueError, match="row 1") as raised:
        documents(tokenizer(text=text), messages("a", "b"))
    assert says in str(raised.value)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6), st.integers(4, 60), st.sampled_from(("plain", "qwen2_5")))
@settings(deadline=None, max_examples=60)
def test_no_document_is_longer_than_a_row_and_answers_stay_whole(texts, most, name):
    texts = [text if text.strip() else "x" for text in texts[: len(texts) // 2 * 2]]
    reader = tokenizer(text=PLAIN) if name == "plain" else tokenizer(name)
    conversation = messages(*texts)
    (whole,), (document,) = documents(reader, conversation), documents(reader, conversation, most)
    if document is None:
        return
    assert len(document.ids) <= most
    assert sum(document.spans) == len(document.ids)
    assert document.spans[0] > 0
    assert whole.learned.endswith(document.learned)
    assert document.shortened == (len(whole.ids) - whole.spans[-2] * (whole.spans[-1] == 0) > most)
    last = [one for one, is_learned in zip(document.ids, mask(document), strict=True) if is_learned]
    assert last[-1] in {reader.eos_token_id, *ChatTemplate(reader).end_ids}


def test_the_oldest_turns_are_left_out_first_and_the_system_message_stays():
    reader = tokenizer(text=PLAIN)
    turns = messages(*(f"{word} {random.Random(i).random()}" for i, word in enumerate("abcdef")))
    conversation = (read_message({"role": "system", "content": "be kind"}, 1), *turns)
    (whole,) = documents(reader, conversation)
    (document,) = documents(reader, conversation, len(whole.ids) - 2)
    shown = reader.decode(document.ids)
    assert shown.startswith("system:\nbe kind\nuser:\nc ")
    assert document.learned == "".join(one.content for one in turns[3::2])
    (none,) = documents(reader, messages("a", "b" * 200), 20)
    assert none is None


def test_a_long_result_of_a_tool_loses_its_beginning_and_the_last_answer_stays():
    reader = tokenizer("qwen2_5")
    call = {"type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
    rows = [
        {"role": "user", "content": "what?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "result " * 200},
        {"role": "assistant", "content": "done"},
    ]
    conversation = tuple(read_message(row, number) for number, row in enumerate(rows, 1))
    (whole,), (document,) = documents(reader, conversation), documents(reader, conversation, 60)
    assert document is not None
    assert len(document.ids) == sum(document.spans) == 60
    assert (document.learned, document.shortened, len(document.spans)) == ("done", True, 2)
    assert whole.ids[: len(whole.ids) - (whole.spans[-2] if whole.spans[-1] == 0 else 0)][-60:] == document.ids

"""How rows hold conversations, and what is wrong with those that cannot be used."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.text.chat.conversation import Conversation, plain_conversation, read_conversation
from aigc.data.text.chat.formats import chat_format, recognised
from aigc.data.text.examples import Example
from aigc.data.text.objectives import Chat

U, A = {"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}


def read(name, **row):
    one = chat_format(name)
    return one.messages({column: row.get(column) for column in (*one.columns, *one.optional)})


def said(messages):
    return [(one.role, one.content) for one in messages]


def test_one_conversation_in_all_formats():
    expected = [("system", "be kind"), ("user", "a"), ("assistant", "b"), ("user", "c\nd"), ("assistant", "e")]
    listed = [{"role": role, "content": text} for role, text in expected]
    shared = [{"from": {"user": "human", "assistant": "gpt"}[role], "value": text} for role, text in expected[1:]]
    alpaca = {"system": "be kind", "history": [["a", "b"]], "instruction": "c", "input": "d", "output": "e"}
    assert said(read("messages", messages=listed)) == expected
    assert said(read("messages", messages=json.dumps(listed))) == expected
    assert said(read("sharegpt", conversations=shared, system="be kind")) == expected
    assert said(read("sharegpt", conversations=listed)) == expected
    assert said(read("alpaca", **alpaca)) == expected
    assert said(read("alpaca", **alpaca | {"history": json.dumps([["a", "b"]])})) == expected
    assert said(read("alpaca", instruction="c", output="e", input=float("nan"))) == [("user", "c"), ("assistant", "e")]


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (["id", "messages"], "messages"),
        (["conversations", "system"], "sharegpt"),
        (["instruction", "input", "output", "text"], "alpaca"),
        (["text"], None),
        (["instruction"], None),
    ],
)
def test_formats_are_recognised_by_their_columns(columns, name):
    assert (found := recognised(columns)) is None or found.name == name
    assert (found is None) == (name is None)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("not JSON", "not JSON"),
        ({"role": "user"}, "a list is needed"),
        (7, "a list is needed"),
        (["text"], "message 1 is a string"),
        ([{"role": "user"}], "message 1 has no 'content'"),
        ([{"content": "x"}], "message 1 has no 'role'"),
        ([{"role": "asistant", "content": "x"}], "assistant"),
        ([{"role": 3, "content": "x"}], "'role' is 3"),
        ([{"role": "user", "content": 3}], "'content' holds a number"),
        ([{"role": "user", "content": [{"type": "text", "text": None}]}, A], "message 1: part 1"),
        ([{"role": "user", "content": [{"type": "text", "content": "x"}]}, A], "message 1: part 1"),
        ([U, {**A, "loss": "false"}], "message 2: 'loss' is \"false\""),
        ([U, {**A, "weight": 0.5}], "message 2: 'weight' is 0.5"),
        ([U, {"role": "assistant", "content": "  "}], "message 2, an answer of the assistant, is empty"),
        ([A, U], "message 1 of the role assistant"),
        ([U, U, A], "message 2 of the role user"),
        ([U, A, {"role": "system", "content": "late"}], "message 3 of the role system"),
        ([U], "no answer to learn"),
        ([], "no answer to learn"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(value, says):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        Chat("messages").example(Example("", values={"messages": value}))
    assert says in str(raised.value)


def test_the_text_of_an_example_is_its_last_answer_and_its_prompt_what_came_before():
    rows = [U, A, {"role": "user", "content": "二"}, {"role": "assistant", "content": "三"}]
    example = Chat("messages", system="be kind").example(Example("", values={"messages": rows}))
    assert (example.text, example.prompt) == ("三", "问\n答\n二")
    assert example.values["messages"][0] == {"role": "system", "content": "be kind"}
    last = Chat("messages", learn="last_answer").example(Example("", values={"messages": rows}))
    assert [one.learned for one in read_conversation(last.values).messages] == [False, False, False, True]


@pytest.mark.parametrize(
    ("loss", "learned"),
    [({"loss": 0}, False), ({"loss": False}, False), ({"weight": 0.0}, False), ({"loss": 1}, True), ({}, True)],
)
def test_a_message_says_whether_it_is_learned(loss, learned):
    example = Chat("messages").example(Example("", values={"messages": [U, {**A, **loss}]}))
    assert (example.text == A["content"]) == learned


def test_tools_and_their_calls_reach_the_template():
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add"}}]}
    rows = [U, call, {"role": "tool", "content": "3"}, A]
    tools = [{"type": "function", "function": {"name": "add"}}]
    values = Chat("messages").example(Example("", values={"messages": rows, "tools": json.dumps(tools)})).values
    conversation = read_conversation(values)
    assert list(conversation.tools) == tools
    assert conversation.messages[1].shown()["tool_calls"] == call["tool_calls"]
    assert conversation.messages[1].learned


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.booleans()), min_size=1, max_size=4))
def test_conversations_survive_json(turns):
    rows = []
    for asked, answer, loss in turns:
        rows += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer + "x", "loss": loss}]
    conversation = Conversation(tuple(chat_format("messages").messages({"messages": rows})))
    again = read_conversation(json.loads(json.dumps(plain_conversation(conversation))))
    assert again == conversation

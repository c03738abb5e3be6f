"""`aigc chat`: a conversation through a pipe and in a terminal."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from aigc.data.text.chat.conversation import Message
from aigc.data.text.chat.template import ChatTemplate
from aigc.errors import InputError
from aigc.generation.configuration import configuration
from aigc.generation.sampling import Sampling
from aigc.inference.find import open_model
from aigc.inference.parts import chat_session
from aigc.inference.parts.chat_session import ChatKeys
from tests.cli.image_runs import Verb, image_run
from tests.cli.talking import TEMPLATE, talking_run, terminal
from tests.conftest import REPOSITORY, write

SETTINGS = ("max_new_tokens=8", "temperature=0.9", "seed=4")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: `plain` has no chat template, `talks` has one, and a system message."""
    place = tmp_path_factory.mktemp("chat")
    talking_run(place, "plain", None, "data: {separator: ，, prompt_column: q, completion_column: a}\n")
    talking_run(place, "talks", TEMPLATE, "data: {chat: {system: 門前}}\n")
    return place


@pytest.fixture
def verbs(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """`aigc VERB ...` in this process, with lines as they come through a pipe."""

    def call(verb: str, *arguments: str, lines: str | bytes = "") -> tuple[int, str, str]:
        data = lines if isinstance(lines, bytes) else lines.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done: tuple[int, str, str] = Verb(verb, place, monkeypatch, capsys)(*arguments)
        return done

    return call


def test_a_chat_answers_as_generate_does(verbs: Any) -> None:
    code, shown, told = verbs("chat", "plain", *SETTINGS, lines="夜來\n\n東風\n")
    assert code == 0, told
    generated = [
        verbs("generate", "plain", f"prompt={one}", "completion_only=true", *SETTINGS) for one in ("夜來", "東風")
    ]
    assert shown == "".join(done[1] for done in generated)
    assert "chat template" in told
    other = verbs("chat", "plain", *SETTINGS, "seed=5", lines="夜來\n")
    assert other[1] not in shown


def test_a_run_of_pairs_is_asked_as_in_training_whatever_its_tokenizer_has(verbs: Any, place: Path) -> None:
    run = talking_run(place, "pairs", TEMPLATE, "data: {chat: {system: 門前}}\n")
    notes = {"saved_model": "aigc.inference.causal_lm.SavedCausalLM", "chat": False, "separator": "，"}
    write(run.model / "aigc.json", json.dumps(notes))
    keys = ["temperature=0", "max_new_tokens=8"]
    code, shown, told = verbs("chat", "pairs", *keys, lines="夜來\n")
    assert shown == verbs("generate", "pairs", "prompt=夜來", "completion_only=true", *keys)[1]
    assert (code, "'，'" in told, "chat=true" in told) == (0, True, True)
    assert verbs("chat", "pairs", *keys, lines="/system 鳥\n")[0] == 2
    assert verbs("chat", "pairs", *keys, "system=鳥")[0] == 2
    assert (
        verbs("chat", "pairs", *keys, "chat=true", lines="夜來\n")[1]
        == verbs("generate", "pairs", "prompt=夜來", "chat=true", *keys)[1]
    )
    assert verbs("chat", "plain", "chat=true", lines="夜來\n")[0] == 2


def test_the_end_of_a_turn_ends_an_answer_also_where_the_model_does_not_name_it(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    tokenizer = AutoTokenizer.from_pretrained(talking_run(place, "turns", None).model)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    tokenizer.chat_template = TEMPLATE.replace("{{ eos_token }}", "<|turn|>")
    tokenizer.save_pretrained("outputs/runs/turns/model")
    model = AutoModelForCausalLM.from_pretrained("outputs/runs/turns/model")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained("outputs/runs/turns/model")
    turn = tokenizer.convert_tokens_to_ids("<|turn|>")
    session = open_model("outputs/runs/turns/model").chat()
    session.ask("夜來", ChatKeys(max_new_tokens=2), lambda piece: None)
    settings = configuration(session.model, session.asking.tokenizer, Sampling(), 2)
    assert turn in settings.eos_token_id
    assert turn not in (settings.suppress_tokens or [])


def test_settings_and_seeds_change_between_answers(verbs: Any) -> None:
    lines = "夜來\n/retry\n/seed 4\n夜來\n/set temperature=0 max_new_tokens=2\n夜來\n/retry\n/quit\n夜來\n"
    code, shown, told = verbs("chat", "plain", *SETTINGS, lines=lines)
    assert code == 0, told
    first, again, same, greedy, last = shown.splitlines()
    assert first == same != again
    assert greedy == last
    assert len(greedy) == 2
    assert again + "\n" == verbs("generate", "plain", "prompt=夜來", "completion_only=true", *SETTINGS, "seed=5")[1]


def test_the_model_is_asked_with_the_ids_of_the_template(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    session = open_model("outputs/runs/talks").chat()
    assert session.system == "門前"
    asked: list[tuple[int, ...]] = []
    generate = session._generate

    def recording(prompt: Any, keys: Any, show: Any) -> str:
        asked.append(prompt.ids)
        return generate(prompt, keys, show)

    monkeypatch.setattr(session, "_generate", recording)
    keys = ChatKeys(system=session.system, max_new_tokens=4)
    said = [session.ask(one, keys, lambda piece: None).text for one in ("夜來", "東風")]
    turns = [("system", "門前"), ("user", "夜來"), ("assistant", said[0]), ("user", "東風")]
    messages = [Message(role, content) for role, content in turns]
    template = ChatTemplate(session.asking.tokenizer)
    assert asked == [template.prompt(messages[:2]).ids, template.prompt(messages).ids]
    assert session.asking.tokenizer.decode(asked[0]) == "system:門前<|end|>user:夜來<|end|>assistant:"


def test_the_oldest_turns_are_left_out_when_the_context_is_full(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    session = open_model("outputs/runs/talks").chat()
    keys = ChatKeys(max_new_tokens=8, system="東風")
    left_out = [session.ask(text, keys, lambda piece: None).left_out for text in ["夜來"] * 4]
    assert left_out[0] == 0
    assert left_out == sorted(left_out)
    assert 0 < left_out[-1] < 6
    assert len(session.messages) == 8
    prompt, _ = session._prompt([*session.messages, {"role": "user", "content": "夜來"}], keys)
    assert len(prompt.ids) <= 96 - 8
    assert session.asking.tokenizer.decode(prompt.ids).startswith("system:東風<|end|>user:")  # the system message stays
    with pytest.raises(InputError, match="context"):
        session.ask("夜" * 80, keys, lambda piece: None)
    assert len(session.messages) == 8


def test_the_context_that_is_full_is_said(verbs: Any) -> None:
    code, shown, told = verbs("chat", "talks", "max_new_tokens=8", "--json", lines="夜來\n" * 5)
    assert code == 0, told
    rows = [json.loads(line) for line in shown.splitlines()]
    assert rows[0]["left_out"] == 0 < rows[-1]["left_out"]
    assert "context" in told


def test_a_conversation_is_saved_as_a_row_of_messages(verbs: Any, place: Path) -> None:
    lines = "夜來\n/save talk.jsonl\n東風\n/save talk.jsonl\n"
    code, shown, told = verbs("chat", "talks", *SETTINGS, lines=lines)
    assert code == 0, told
    (row,) = [json.loads(line) for line in (place / "talk.jsonl").read_text("utf-8").splitlines()]
    said = shown.splitlines()
    roles = [(one["role"], one["content"]) for one in row["messages"]]
    assert roles == [
        ("system", "門前"),
        ("user", "夜來"),
        ("assistant", said[0]),
        ("user", "東風"),
        ("assistant", said[1]),
    ]
    assert (row["settings"]["seed"], row["settings"]["temperature"]) == (4, 0.9)
    before = (place / "talk.jsonl").read_bytes()
    assert verbs("chat", "talks", *SETTINGS, lines="夜來\n/save talk.jsonl\n")[0] == 2
    assert (place / "talk.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("/nothing\n", "/retry"),
        ("/set temprature=1\n", "temperature"),
        ("/set temperature=-1\n", "temperature"),
        ("/seed x\n", "seed"),
        ("/retry\n", "nothing"),
        ("/save x.txt\n", ".jsonl"),
        ("/save no/where.jsonl\n", "no"),
        (b"\xff\xfe\n", "line 1"),
        ("夜" * 200 + "\n", "context"),
    ],
)
def test_a_wrong_line_of_a_pipe_ends_it(lines: str | bytes, named: str, verbs: Any) -> None:
    code, shown, told = verbs("chat", "talks", lines=lines)
    assert (code, shown) == (2, "")
    assert named in told.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nothing"], "nothing"),
        (["plain", "num_beams=2"], "num_beams"),
        (["plain", "stop="], "stop"),
        (["images"], "images"),
    ],
)
def test_what_cannot_talk_is_refused(arguments: list[str], named: str, verbs: Any, place: Path) -> None:
    if not (place / "outputs/runs/images").exists():
        image_run(place, "images", "TinyGenerator")
    code, shown, told = verbs("chat", *arguments)
    assert (code, shown) == (2, "")
    assert named in told


def test_a_system_message_needs_a_template(verbs: Any) -> None:
    assert verbs("chat", "plain", lines="/system 夜來\n")[0] == 2
    texts = [
        verbs("chat", "talks", "temperature=0", "max_new_tokens=9", lines=f"{one}夜來\n")[1]
        for one in ("", "/system 鳥\n", "/system\n")
    ]
    assert len({*texts}) > 1


def test_a_text_may_begin_with_a_slash(verbs: Any) -> None:
    code, shown, _ = verbs("chat", "plain", *SETTINGS, "--json", lines="//夜來\n")
    assert (code, json.loads(shown)["prompt"]) == (0, "/夜來")


def test_a_folder_of_a_model_can_talk(verbs: Any, place: Path) -> None:
    folder = str(place / "outputs/runs/talks/model")
    keys = ["temperature=0", "max_new_tokens=6"]
    assert (
        verbs("chat", folder, *keys, lines="/system 門前\n夜來\n")[1]
        == verbs("chat", "talks", *keys, lines="夜來\n")[1]
    )
    assert verbs("generate", folder, "prompt=夜來", *keys)[0] == 0


def test_an_answer_that_is_stopped_stays_as_far_as_it_was_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    session = open_model("outputs/runs/talks").chat()
    written: list[str] = []

    def stop_at_three(piece: str) -> None:
        written.append(piece)
        if len(written) == 3:
            raise KeyboardInterrupt

    answer = session.ask("夜來", ChatKeys(temperature=0.0), stop_at_three)
    assert (answer.text, answer.whole) == ("".join(written), False)
    assert session.messages[-1] == {"role": "assistant", "content": answer.text}

    def stop_at_once(*arguments: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "_generate", stop_at_once)
    before = session.messages
    for again in (False, True):
        assert session.ask("東風", ChatKeys(), written.append, again) == chat_session.Answer("", 0, whole=False)
        assert session.messages == before
    assert session.model.training is False


@pytest.mark.slow
def test_a_terminal_edits_wide_characters_and_goes_on_after_ctrl_c(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    with terminal(place, "chat", "talks", "temperature=0", "max_new_tokens=5") as screen:
        assert "PyTorch" in screen.until(">")
        screen.type("夜雨")
        screen.until("夜雨")
        screen.type("\x7f")  # backspace takes one character back, which is two columns wide
        assert "\x1b[2D" in screen.until("\x1b[2D")
        screen.type("來\r")
        screen.until(">")
        screen.until(">")
        screen.type("/nothing\r")
        screen.until("/retry")
        screen.until(">")
        screen.type("/save typed.jsonl\r")
        screen.until("typed.jsonl\r\n")
        screen.until(">")
        screen.type("abc\x03")  # discards the line
        screen.until(">")
        screen.type("\x04")
        assert screen.exit_code() == 0
    row = json.loads((place / "typed.jsonl").read_text("utf-8"))
    assert [one["content"] for one in row["messages"] if one["role"] == "user"] == ["夜來"]


@pytest.mark.slow
def test_ctrl_c_stops_an_answer_and_not_the_conversation(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    talking_run(place, "long", TEMPLATE, context=50_000)
    with terminal(place, "chat", "long", "temperature=0") as screen:
        screen.until(">")
        screen.type("夜來\r")
        screen.until("\x1b[?2004l")  # the line is read
        screen.answers(3)
        screen.type("\x03")
        screen.until("stopped")
        screen.until(">")
        screen.type("/save stopped.jsonl\r")
        screen.until("stopped.jsonl\r\n")
        screen.type("/quit\r")
        assert screen.exit_code() == 0
    row = json.loads((place / "stopped.jsonl").read_text("utf-8"))
    assert len(row["messages"][-1]["content"]) > 2

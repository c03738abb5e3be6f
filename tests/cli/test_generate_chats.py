"""`aigc generate` of conversations, and of rows in files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from aigc.data.text.data import TextData
from aigc.inference.find import open_model
from aigc.inference.parts.asked import Asking
from aigc.inference.parts.chat_session import ChatKeys
from tests.cli.image_runs import Verb
from tests.cli.talking import TEMPLATE, talking_run
from tests.conftest import write
from tests.training.helpers import text_data

GREEDY = ("temperature=0", "max_new_tokens=5")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: `plain` has no chat template, `tuned` has one and was trained on texts, `talks` on conversations."""
    place = tmp_path_factory.mktemp("generate")
    talking_run(place, "plain", None)
    for name, chat in (("tuned", False), ("talks", True)):
        run = talking_run(place, name, TEMPLATE, "data: {chat: {system: 門前}}\n")
        kind = type(open_model(str(run.path)))
        notes = {"saved_model": f"{kind.__module__}.{kind.__qualname__}", "chat": chat, "separator": "，"}
        write(run.model / "aigc.json", json.dumps(notes))
    return place


@pytest.fixture
def verb(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """`aigc generate RUN temperature=0 ...`; it returns the exit code, what is printed and what is said."""
    run = Verb("generate", place, monkeypatch, capsys)
    return lambda name, *arguments: run(name, *arguments, *GREEDY)


@pytest.fixture
def generate(verb: Any) -> Any:
    """The verb; it returns what is printed."""

    def call(*arguments: str) -> str:
        code, shown, told = verb(*arguments)
        assert code == 0, told
        return str(shown)

    return call


@pytest.fixture
def refused(verb: Any) -> Any:
    """The verb where it fails; it returns what is said."""

    def call(*arguments: str) -> str:
        code, shown, told = verb(*arguments)
        assert (code, shown) == (2, "")
        return str(told)

    return call


def messages(*contents: str, system: str | None = None) -> str:
    """Messages in turn, as JSON on the command line."""
    turns = [{"role": ("user", "assistant")[at % 2], "content": one} for at, one in enumerate(contents)]
    return json.dumps(([{"role": "system", "content": system}] if system else []) + turns, ensure_ascii=False)


def test_a_prompt_is_a_message_where_the_run_was_trained_on_conversations(generate: Any) -> None:
    answer = generate("talks", "prompt=夜來")
    assert answer == generate("talks", f"messages={messages('夜來', system='門前')}")
    assert answer == generate("tuned", "prompt=夜來", "chat=true")
    assert "夜來" not in answer
    continued = generate("talks", "prompt=夜來", "chat=false")
    assert continued == generate("tuned", "prompt=夜來")
    assert continued.startswith("夜來，")
    assert answer != generate("talks", f"messages={messages('夜來', system='風')}")
    assert generate("talks", "prompt=夜來", "system=風") == generate(
        "talks", f"messages={messages('夜來', system='風')}"
    )


def test_the_folder_of_a_model_answers_if_it_has_a_template(generate: Any, place: Path) -> None:
    folder = place / "exported"
    shutil.copytree(place / "outputs/runs/tuned/model", folder, ignore=shutil.ignore_patterns("aigc.json"))
    assert generate(str(folder), "prompt=夜來", "system=門前") == generate("talks", "prompt=夜來")


@pytest.mark.parametrize(
    ("name", "said"), [("talks", '{"role": "system", "content": "門前"}'), ("tuned", 'write("<|end|>TEXT，"')]
)
def test_an_export_is_asked_as_the_run_is(
    name: str,
    said: str,
    generate: Any,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, told = Verb("export", place, monkeypatch, capsys)(name, "--out", f"{name}_model")
    assert code == 0, told
    assert generate(f"{name}_model", "prompt=夜來") == generate(name, "prompt=夜來")
    sessions = [open_model(where).chat() for where in (f"{name}_model", f"outputs/runs/{name}")]
    prompts = [one._prompt([{"role": "user", "content": "夜來"}], ChatKeys(system=one.system))[0] for one in sessions]
    assert prompts[0] == prompts[1]
    card = (place / f"{name}_model/README.md").read_text("utf-8")
    assert said in card
    assert ('`"門前"`' in card, '`"，"`' in card) == (name == "talks", name == "tuned")


def test_rows_of_a_file_keep_their_keys_and_have_the_settings(generate: Any, place: Path) -> None:
    turns = json.loads(messages("夜來", "風", "東"))
    rows: list[dict[str, Any]] = [
        {"id": 7, "prompt": "夜來"},
        {"messages": turns, "reference": "鳥"},
        {"messages": json.dumps(turns)},
    ]
    write(place / "rows.jsonl", "\n\n".join(json.dumps(row) for row in rows) + "\n")
    told = generate("talks", "--file", "rows.jsonl", "--out", "answers.jsonl", "--force", "seed=3", "top_k=9")
    assert told == "answers.jsonl\n"
    written = [json.loads(line) for line in (place / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [{name: row[name] for name in asked} for row, asked in zip(written, rows, strict=True)] == rows
    assert all((row["seed"], row["temperature"], row["top_k"]) == (3, 0, 9) for row in written)
    assert written[0]["text"] + "\n" == generate("talks", "prompt=夜來", "seed=3")
    assert written[1]["text"] == written[2]["text"]
    assert written[1]["text"] + "\n" == generate("talks", f"messages={json.dumps(turns)}")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{}", ["row 2", "prompt", "messages"]),
        ('{"prompt": "a", "messages": []}', ["row 2", "either"]),
        ('{"prompt": 3}', ["row 2", "prompt"]),
        ('{"messages": 3}', ["row 2", "messages", "list"]),
        ('{"messages": []}', ["row 2", "user"]),
        ('{"messages": [{"role": "nobody", "content": "a"}]}', ["row 2", "message 1", "nobody"]),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', ["row 2", "user"]),
        ('{"prompt": "a", "stop": "b"}', ["row 2", "'stop'"]),
        ('{"prompt": "a", "text": "b"}', ["row 2", "'text'"]),
        ('{"prompt": "a", "tools": 3}', ["row 2", "'tools'"]),
        ("{", ["line 2", "JSON"]),
        ("[1]", ["line 2", "object"]),
    ],
)
def test_a_wrong_row_is_named_with_its_file(line: str, named: list[str], refused: Any, place: Path) -> None:
    write(place / "wrong.jsonl", f'{{"prompt": "夜"}}\n{line}\n')
    told = refused("talks", "--file", "wrong.jsonl", "--out", "wrong.out.jsonl")
    assert all(one in told for one in ["wrong.jsonl", *named]), told
    assert not (place / "wrong.out.jsonl").exists()


@pytest.mark.parametrize(
    ("run", "arguments", "named"),
    [
        ("plain", ["prompt=夜", "chat=true"], "template"),
        ("plain", [f"messages={messages('夜')}"], "template"),
        ("talks", ["messages=夜"], "messages"),
        ("talks", ["prompt=夜", f"messages={messages('夜')}"], "messages="),
        ("talks", ["--file", "nowhere.jsonl"], "nowhere.jsonl"),
        ("talks", ["--file", "empty.jsonl"], "empty.jsonl"),
        ("talks", ["--file", "empty.jsonl", "--prompts", "empty.jsonl"], "--prompts"),
    ],
)
def test_what_does_not_go_together_is_said(
    run: str, arguments: list[str], named: str, refused: Any, place: Path
) -> None:
    write(place / "empty.jsonl", "\n")
    assert named in refused(run, *arguments)


def test_data_note_how_prompts_were_made(tmp_path: Path) -> None:
    assert text_data(tmp_path, ["夜來風雨聲", "花落知多少"] * 2).model_notes == {"chat": False, "separator": ""}
    row = {"prompt": "夜來", "completion": "風雨", "messages": json.loads(messages("夜來", "風雨"))}
    for name, notes in {
        "prompt": {"chat": False, "separator": "，"},
        "messages": {"chat": True, "separator": ""},
    }.items():
        columns = {"prompt": ("prompt", "completion"), "messages": ("messages",)}[name]
        file = write(tmp_path / f"{name}.jsonl", json.dumps({one: row[one] for one in columns}) + "\n")
        assert TextData(str(file), separator="，", cache=str(tmp_path / "cache")).model_notes == notes


def test_tools_may_stand_in_a_row_as_text(place: Path) -> None:
    template = "{{ tools | tojson }}" + TEMPLATE
    tokenizer = AutoTokenizer.from_pretrained(talking_run(place, "calls", template).model)
    asking, tools = Asking(tokenizer, chat=True), [{"type": "function", "function": {"name": "見"}}]
    rows: list[dict[str, Any]] = [
        {"messages": json.loads(messages("夜來")), "tools": tools},
        {"messages": json.loads(messages("夜來")), "tools": json.dumps(tools)},
        {"prompt": "夜來", "tools": tools},
    ]
    assert len({one.prompt.ids for one in asking.asked(rows)}) == 1
    assert asking.asked(rows)[0].prompt.ids != asking.asked([{"prompt": "夜來"}])[0].prompt.ids

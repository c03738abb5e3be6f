"""`aigc generate` of a small language model whose run was trained on prompts with a separator."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aigc.cli.parts.options import read_value
from aigc.data.text.tokenizer import TokenizerSettings, make_tokenizer
from aigc.inference.causal_lm import TextKeys
from aigc.inference.parts.unknown import warn_of_unknown
from tests.cli.image_runs import Verb, bare_run
from tests.training.helpers import tiny_model

TEXTS = ["處處聞啼鳥，東風來見國", "夜來風雨聲，門前車馬長", "花落知多少，時會說還鄉"] * 2


def make_run(place: Path, name: str, data: str, unknown: str = "token") -> None:
    run = bare_run(place, name, f"seed: 0\ndata: {data}\n")
    tokenizer = make_tokenizer(TokenizerSettings(kind="character", min_frequency=1, unknown=unknown), TEXTS)
    tiny_model(SimpleNamespace(tokenizer=tokenizer, sequence_length=32)).save_pretrained(run.model)
    tokenizer.save_pretrained(run.model)


@pytest.fixture
def generate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """`aigc generate RUN temperature=0 max_new_tokens=4 ...`; `pairs` has a separator, `plain` has none."""
    make_run(tmp_path, "pairs", "{separator: ，, prompt_column: q, completion_column: a}")
    make_run(tmp_path, "plain", "{separator: ，, text_column: t}", unknown="bytes")
    verb = Verb("generate", tmp_path, monkeypatch, capsys)
    return lambda run, *more: verb(run, "temperature=0", "max_new_tokens=4", *more)


def prompts(done: tuple[int, str, str]) -> list[str]:
    assert done[0] == 0, done[2]
    return [json.loads(line)["prompt"] for line in done[1].splitlines()]


def test_a_prompt_gets_the_separator_that_the_model_has_learned(generate: Any, tmp_path: Path) -> None:
    assert prompts(generate("pairs", "prompt=夜來", "--json")) == ["夜來，"]
    assert generate("pairs", "prompt=夜來")[1] == generate("pairs", "prompt=夜來，")[1]
    assert prompts(generate("plain", "prompt=夜來", "--json")) == ["夜來"]
    assert prompts(generate("plain", "prompt=夜來", "separator=風", "--json")) == ["夜來風"]
    assert prompts(generate("pairs", "prompt=夜來", "separator=", "--json")) == ["夜來"]
    assert prompts(generate("pairs", "prompt=", "--json")) == [""]


def test_blank_lines_are_no_prompts_and_are_said(generate: Any, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("夜來\n\n花落，\n \t\n", "utf-8")
    done = generate("pairs", "--prompts", "p.txt", "--json")
    assert prompts(done) == ["夜來，", "花落，"]
    assert "p.txt: 2 of 4 lines are blank and left out: 2, 4" in done[2]
    (tmp_path / "p.txt").write_text("\n \n", "utf-8")
    code, shown, told = generate("pairs", "--prompts", "p.txt")
    assert (code, shown, "p.txt" in told) == (2, "", True)


def test_the_completion_alone_is_what_follows_prompt_and_separator(generate: Any) -> None:
    whole = generate("pairs", "prompt=夜來")[1]
    alone = generate("pairs", "prompt=夜來", "completion_only=true")[1]
    assert whole == f"夜來，{alone}"


def test_a_stop_text_may_look_like_a_list() -> None:
    kind = TextKeys.__dataclass_fields__["stop"].type
    for typed, value in {
        "[INST]": "[INST]",
        "[3]": "[3]",
        '["a", "[INST]"]': ["a", "[INST]"],
        '["\\n"]': ["\n"],
        "3": "3",
        "null": None,
        ".": ".",
    }.items():
        assert read_value(typed, kind) == value


@pytest.mark.parametrize("run", ["pairs", "plain"])
def test_unknown_characters_are_counted_with_the_script_to_use(run: str, generate: Any) -> None:
    code, shown, told = generate(run, "prompt=门前风雨X")
    assert (code, shown[:5]) == (0, "门前风雨X")
    assert "3 of " in told
    assert "门风X" in told
    assert "traditional" in told
    assert "traditional" not in generate(run, "prompt=門前X")[2]
    assert generate(run, "prompt=門前風雨")[2] == ""


def test_no_script_is_advised_that_the_prompt_is_in(caplog: pytest.LogCaptureFixture) -> None:
    settings = TokenizerSettings(kind="character", min_frequency=1, unknown="token")
    tokenizer = make_tokenizer(settings, ["东车门风飞龙马鸟鱼来见长国时书为会说这们"])

    def told(prompt: str) -> str:
        caplog.clear()
        warn_of_unknown(tokenizer, [prompt])
        return caplog.text

    assert "unknown to this model: 镕酒" in told("镕酒东")
    assert "simplified" not in told("镕酒东")
    assert "龘" in told("龘")
    assert "simplified" not in told("龘")
    assert "simplified" in told("門")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--out", "a.csv"], ["a.csv", ".jsonl"]),
        (["--out", "taken.txt"], ["taken.txt", "--force"]),
        (["--out", "no/where.txt"], ["no"]),
        (["stop="], ["stop"]),
        (['stop=["a",""]'], ["stop"]),
        (["completion_only=maybe"], ["completion_only"]),
        (["separator=\udcd6"], ["separator", "UTF-8"]),
    ],
)
def test_what_cannot_be_done_leaves_no_file(
    arguments: list[str], named: list[str], generate: Any, tmp_path: Path
) -> None:
    (tmp_path / "taken.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    code, shown, told = generate("pairs", "prompt=夜來", *arguments)
    assert (code, shown) == (2, "")
    assert all(name in told for name in named), told
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "taken.txt").read_text() == "mine"


def test_an_error_while_generating_leaves_no_file(generate: Any, tmp_path: Path) -> None:
    code, _, told = generate("pairs", "prompt=" + "夜" * 40, "--out", "new.txt")
    assert (code, "context" in told) == (2, True)
    assert not list(tmp_path.glob("*new*"))

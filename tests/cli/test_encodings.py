"""Printing under any encoding of the terminal: no error, and JSON and YAML that can be read."""

import ast
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from aigc.cli.main import VERBS, main
from aigc.config import compose
from aigc.config.freeze import frozen_yaml
from aigc.printing import escape_unprintable, print_yaml
from aigc.runs.console import log_to
from tests.conftest import REPOSITORY, write

ENCODINGS = ("gbk", "ascii", "latin-1")
TEXT = "詩 👍 ć \ud800"
"""A character that each of the encodings lacks, and one that none can write."""

Under = Callable[..., tuple[int, str]]


@pytest.fixture
def under(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Under:
    """Run `aigc ...` in this process with such a stdout and stderr; return the exit code and stdout."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def run(encoding: str, *arguments: str) -> tuple[int, str]:
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
        for name, stream in zip(("stdout", "stderr"), streams, strict=True):
            monkeypatch.setattr(sys, name, stream)
        try:
            code = main(list(arguments))
        except SystemExit as ended:
            code = int(ended.code or 0)
        streams[0].flush()
        return code, streams[0].buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]

    return run


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_help_of_every_verb_is_printed(encoding: str, under: Under) -> None:
    for arguments in (["--help"], *([verb, "--help"] for verb in VERBS)):
        code, shown = under(encoding, *arguments)
        assert (code, arguments[0] in shown or "verbs:" in shown) == (0, True), arguments


def test_a_strict_stream_would_fail() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="gbk", errors="strict")
    with pytest.raises(UnicodeEncodeError):
        stream.write(TEXT)


def test_a_persons_own_way_of_handling_errors_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for errors, kept in {"replace": "replace", "strict": "backslashreplace"}.items():
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=errors))
        escape_unprintable()
        assert sys.stdout.errors == kept


def test_the_command_itself_sets_it() -> None:
    command = [sys.executable, "-m", "aigc", "score", "--help"]
    done = subprocess.run(command, capture_output=True, cwd=REPOSITORY, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, b"\\u" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_texts_and_errors_are_printed(encoding: str, under: Under, own_place: Path) -> None:
    rows = [{"output": "a " + TEXT, "reference": "a " + TEXT}]
    write(own_place / "詩.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    code, shown = under(encoding, "score", "詩.jsonl", "--json")
    assert (code, json.loads(shown)["scores"]["bleu"] if code == 0 else shown) == (0, pytest.approx(100.0))
    assert under(encoding, "score", "詩👍.txt", "r.txt")[0] == 2
    assert under(encoding, "validate", f"trainer.max_steps={TEXT[:3]}")[0] == 2


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_config_can_be_read_again(encoding: str, under: Under) -> None:
    typed = ["data.text_column=詩👍", "optimizer.lr=1e-5", 'data.separator="1e-5"']
    code, shown = under(encoding, "validate", *typed, "--print")
    assert (code, OmegaConf.create(shown)) == (0, OmegaConf.create(frozen_yaml(compose(typed))))


def test_comments_at_the_head_of_yaml_stay(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "# @package _global_\n# one\n\nname: 詩\n"
    print_yaml(text)
    assert capsys.readouterr().out == text
    stream = io.TextIOWrapper(io.BytesIO(), encoding="gbk")
    monkeypatch.setattr(sys, "stdout", stream)
    print_yaml(text)
    stream.flush()
    written = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert written.startswith("# @package _global_\n# one\n")
    assert OmegaConf.create(written) == {"name": "詩"}


def test_a_log_file_takes_any_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.runs.console import log

    monkeypatch.setattr(log, "propagate", False)  # pytest's own record of it could not be sent between its processes
    with log_to(tmp_path / "log.txt"):
        log.warning("%s", TEXT)
    assert "\\ud800" in (tmp_path / "log.txt").read_text("utf-8")


def test_every_verb_prints_json_in_one_way() -> None:
    for path in (REPOSITORY / "aigc/cli").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        printed = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id == "print"]
        direct = [one.lineno for one in printed if "json.dumps" in "".join(map(ast.unparse, one.args))]
        assert direct == [] or path.name == "printing.py", f"{path}: print_json works under any encoding"

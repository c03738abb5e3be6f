"""The messages of each verb for bad input: `tests/golden/VERB.txt`; AIGC_UPDATE_GOLDEN=1 rewrites the files.

Other tests assert exit codes and keys. Here a change of wording shows up as a diff of a readable file.
"""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from aigc.cli.main import VERBS, main
from aigc.config import compose, trust
from aigc.config.freeze import frozen_yaml
from aigc.runs import Run
from aigc.runs.status import Status, write_status
from tests.conftest import REPOSITORY, write

GOLDEN = REPOSITORY / "tests/golden"
CONFIG = [
    ["trainer.max_stepz=3"],
    ["trainer.max_steps=many"],
    ["trainer.max_steps=0", "modle=gpt2"],
    ["model=gtp2"],
    ["experiment=qqq"],
    ["nothing"],
    ["optimizer.lr=[1"],
    ["task._target_=aigc.tasks.Nothing"],
    ["task=3"],
    ["data._target_=os.system"],
    ["+evaluation.generation.metrics.mine._target_=my_package.Mine"],
    ["--nope"],
]
"""Wrong configs, for every verb that takes a config."""
RUN = [["nothing"], [], ["latest", "extra", "--nope"]]
"""Runs that do not exist."""
CASES = {
    "train": [*CONFIG, ["data.path=nowhere.jsonl"], ["data.path=empty.txt", "data.text_column=null"]],
    "validate": CONFIG,
    "data": [
        ["trainer.max_stepz=3"],
        ["lm/txt"],
        ["lm/text", "data.path=nowhere.jsonl"],
        ["latest", "seed=1"],
        ["latest", "data.path=p.txt"],
        ["--rows", "few"],
        ["--nope"],
    ],
    "sweep": [
        *[[*arguments, "seed=0,1"] for arguments in CONFIG],
        ["seed=1"],
        ["optimizer.lr=1e-3,fast"],
        ["sweep=optuna", "seed=1"],
        ["status", "nothing"],
        ["table", "nothing"],
        ["best", "nothing"],
    ],
    "submit": [*CONFIG, ["cluster=local"], ["cluster=slurm", "cluster.time=long"], ["--resume", "nothing"]],
    "cancel": [*RUN, ["latest"]],
    "resume": [*RUN, ["latest", "trainer.max_stepz=3"]],
    "reproduce": [*RUN, ["latest"]],
    "show": RUN,
    "verify": RUN,
    "ls": [["--nope"], ["nowhere"]],
    "help": [["trainr"], ["data.tokenizer.kin"], ["nowhere.Thing"], ["data", "data=nope"]],
    "eval": [*RUN, ["latest"], ["latest", "trainer.max_stepz=3"]],
    "generate": [*RUN, ["latest"]],
    "chat": [*RUN, ["latest"], ["latest", "temprature=1"]],
    "export": [*RUN, ["latest"], ["latest", "--format", "nothing"]],
    "score": [
        ["p.txt", "longer.txt"],
        ["p.txt", "nowhere.txt"],
        ["empty.txt", "p.txt"],
        ["p.txt"],
        [],
        ["p.txt", "p.txt", "--metric", "blue"],
        ["p.txt", "p.txt", "bleu.tokenise=zh", "chrf.word_order=two"],
        ["p.txt", "--metric", "form_accuracy"],
        ["p.txt", "p.txt", "--metric", "my_package.Mine"],
        ["p.txt", "p.txt", "--seed", "1"],
        ["broken.jsonl"],
    ],
    "score-images": [
        ["nowhere", "nowhere"],
        ["empty", "empty"],
        ["empty"],
        [],
        ["empty", "empty", "--metric", "fad"],
        ["empty", "empty", "kid.subset=3"],
    ],
}
LISTED = re.compile(r"(?<=choices: |allowed: )[\w/.-]+(, [\w/.-]+)+( and \d+ more)?")
"""Lists that grow with each class and each YAML."""


@pytest.fixture
def place(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a run without results, and unusable files."""
    monkeypatch.setenv("AIGC_OUTPUTS", str(own_place / "outputs"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "path", [*sys.path])  # aigc adds the working directory
    monkeypatch.setattr(trust, "_named", [])
    write_status(Run.create(own_place / "outputs/runs", "one", frozen_yaml(compose())).path, Status.FINISHED)
    (own_place / "empty").mkdir()
    write(own_place / "empty.txt", "")
    write(own_place / "p.txt", "one\ntwo\n")
    write(own_place / "longer.txt", "one\ntwo\nthree\n")
    write(own_place / "broken.jsonl", '{"output": "a", "reference": "b"}\n{"output":\n')
    return own_place


def refusal(verb: str, arguments: list[str], place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command; return it as typed, with its message."""
    before = sorted(place.rglob("*"))
    try:
        code = main([verb, *arguments])
    except SystemExit as error:
        code = error.code
    printed = capsys.readouterr()
    assert code == 2, f"{verb} {arguments}\n{printed.err}"
    assert printed.out == ""
    assert "Traceback" not in printed.err
    assert sorted(path for path in place.rglob("*") if "__pycache__" not in path.parts) == before
    shown = printed.err.replace(str(place), "PLACE").replace(Run.open("latest").id, "ONE")
    return f"$ aigc {shlex.join([verb, *arguments])}\n{LISTED.sub('...', shown)}\n"


SLOW = ("train", "submit", "sweep")
"""Verbs that check a config many times."""


@pytest.mark.parametrize("verb", [pytest.param(verb, marks=[pytest.mark.slow] * (verb in SLOW)) for verb in VERBS])
def test_refusals_match_the_golden_file(verb, place, capsys):
    messages = "".join(refusal(verb, arguments, place, capsys) for arguments in CASES[verb])
    golden = GOLDEN / f"{verb}.txt"
    if os.environ.get("AIGC_UPDATE_GOLDEN"):
        write(golden, messages)
    assert messages == golden.read_text("utf-8"), "AIGC_UPDATE_GOLDEN=1 accepts the new wording"


def test_every_golden_file_belongs_to_a_verb():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(VERBS)

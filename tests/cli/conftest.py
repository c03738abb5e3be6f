"""Fixtures that several verbs share: one small trained run, and `aigc score` with its files."""

import fcntl
import sys
from functools import partial
from pathlib import Path

import pytest

from aigc.cli.main import main
from aigc.runs import Run
from tests.cli.scoring import PREDICTIONS, REFERENCES, lines
from tests.launch.forking import run_aigc

SMALL = ["model.settings.n_layer=1", "model.settings.n_head=2", "model.settings.n_embd=64"]


@pytest.fixture(scope="session")
def trained(shared: Path, cache: Path) -> Run:
    """A real run of the default experiment, cut short, in a folder with a space and Chinese characters in its name."""
    place = shared / "一個 地方"
    outputs = place / "輸出 outputs"
    with (shared / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first process trains, the others use its run
        if not place.exists():
            place.mkdir()
            env = {"AIGC_OUTPUTS": str(outputs), "AIGC_CACHE": str(cache)}
            done = run_aigc(["train", "debug=limit", "trainer.num_threads=2", *SMALL], place, **env)
            assert done.returncode == 0, done.stderr
            (Run.open("latest", outputs / "runs").path / ".stdout").write_text(done.stdout, encoding="utf-8")
    return Run.open("latest", outputs / "runs")


@pytest.fixture
def in_process(own_place, capsys, monkeypatch):
    """Run `aigc VERB ...` in this process; return exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # aigc adds the working directory

    def run(verb, *arguments):
        code = main([verb, *arguments])
        shown = capsys.readouterr()
        assert "Traceback" not in shown.err
        return code, shown.out, shown.err

    return run


@pytest.fixture
def score(in_process):
    """Run `aigc score ...` as `in_process` does."""
    return partial(in_process, "score")


@pytest.fixture
def files(own_place):
    """Predictions and references of three lines in p.txt and r.txt."""
    lines(own_place / "p.txt", PREDICTIONS)
    lines(own_place / "r.txt", REFERENCES)
    return own_place

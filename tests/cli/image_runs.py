"""Finished runs of image models, and a verb in this process, for tests of saved models."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aigc.cli.main import main
from aigc.config import trust
from aigc.models.images.saved import save_generator
from aigc.runs import Run
from aigc.runs.status import Status, write_status
from tests.unit.models.tiny_generators import generator


def image_run(place: Path, name: str, kind: str, names: Sequence[str] = (), module: str = "") -> Run:
    """Make a run with a generator of these classes, by hand, as `Run.create` would call git."""
    run = bare_run(place, name)
    run.model.mkdir()
    made, node = generator(kind, len(names), module=module)
    save_generator(made, node, names, run.model)
    return run


def bare_run(place: Path, name: str, config: str = "seed: 0\n") -> Run:
    """A finished run without results."""
    run = Run(place / "outputs/runs" / name)
    run.path.mkdir(parents=True)
    (run.path / "config.yaml").write_text(config)
    (run.path / "manifest.json").write_text("{}")
    write_status(run.path, Status.FINISHED)
    return run


class Verb:
    """Return `aigc VERB` in this process, in its own working directory; calls return (code, stdout, stderr).

    Args:
        verb: Such as export.
        place: The working directory, with the outputs.
        monkeypatch: Puts back what it changes.
        capsys: Gives what was printed.
    """

    def __init__(self, verb: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
        monkeypatch.chdir(place)
        monkeypatch.setenv("AIGC_OUTPUTS", str(place / "outputs"))
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(trust, "_named", [])
        self.verb, self.capsys = verb, capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        code = main([self.verb, *arguments])
        told = self.capsys.readouterr()
        return code, told.out, told.err

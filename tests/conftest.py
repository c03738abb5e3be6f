"""What all tests share: no network, outputs and caches of their own, aigc as a real process."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.drawing import EXHAUSTIVE, seed
from tests.launch import forking

os.environ["HF_HUB_OFFLINE"] = "1"
REPOSITORY = Path(__file__).resolve().parent.parent
WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "house",
    "tree",
    "walks",
    "runs",
    "sees",
    "big",
    "small",
    "and",
    "or",
    "under",
    "over",
    "near",
    "red",
    "blue",
]
"""What own corpora of the tests are made of."""


LONGEST = [
    "launch/test_kill",
    "slurm/",
    "launch/test_search",
    "launch/test_sweeps",
    "training/test_exact_resume",
    "docs/",
    "launch/test_signals",
    "launch/test_ranks",
]
"""Files that take longest."""


def pytest_configure(config: pytest.Config) -> None:
    """Fix the seed of this session before the processes start that share it."""
    seed()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say how to draw the same cases again."""
    if not hasattr(session.config, "workerinput"):
        what = "every case is tried" if EXHAUSTIVE else f"cases are drawn with AIGC_TEST_SEED={seed()}"
        session.config.get_terminal_writer().line(what)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no process is left alone with one of them."""

    def rank(item: pytest.Item) -> int:
        return next((at for at, name in enumerate(LONGEST) if f"tests/{name}" in item.nodeid), len(LONGEST))

    items.sort(key=rank)


@pytest.fixture(autouse=True)
def as_a_process_begins() -> Iterator[None]:
    """What a run sets for its whole process would reach the next test: messages, and numbers taken for 0."""
    log = logging.getLogger("aigc")
    log.handlers.clear()
    log.propagate, log.disabled = True, False
    log.setLevel(logging.NOTSET)
    if progress := sys.modules.get("aigc.data.progress"):
        progress.log_once.cache_clear()
    yield
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session share."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    (folder / "shared").mkdir(exist_ok=True)
    return folder / "shared"


@pytest.fixture(scope="session")
def cache(shared: Path) -> Path:
    """Prepared data are shared by all tests, as they are shared by all runs."""
    return shared / "cache"


@pytest.fixture
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """An empty working directory with outputs of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIGC_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setenv("AIGC_CACHE", str(cache))
    return tmp_path


@pytest.fixture
def aigc(own_place: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `aigc ...` as a process in the own place."""

    def run(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return forking.run_aigc(arguments, cwd or own_place, stdin)

    return run


def write(path: Path, text: str) -> Path:
    """A text file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path

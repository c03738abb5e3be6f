"""One SLURM for all tests of this folder; they are skipped, and say why, where its programs are not installed."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc.runs import Run
from tests.slurm.one_node import OneNode, missing
from tests.slurm.submitting import CPU, SECRET, SLOW, submitted


@pytest.fixture(scope="session")
def slurm() -> Iterator[OneNode]:
    """A SLURM that runs; its folder has a short name, as sockets take no long ones."""
    if reason := missing():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="aigc-slurm-") as folder:
        node = OneNode(Path(folder))
        try:
            node.start()
            yield node
        finally:
            node.stop()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, slurm: OneNode) -> Path:
    """Where the places of all runs lie; its name has a space."""
    return tmp_path_factory.mktemp("slurm jobs")


@pytest.fixture(scope="session")
def whole(folder: Path, slurm: OneNode) -> tuple[Run, str]:
    """A run that nothing happens to, and its job, which may not have ended yet."""
    return submitted(slurm, folder / "whole", *CPU, *SLOW, HF_TOKEN=SECRET)

"""One small trained run, shared by the tests that only read it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.runs import Run
from tests.waiting import PATIENCE


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Run:
    """A real run of the default experiment, cut short, in a folder with a space and Chinese characters in its name."""
    place = tmp_path_factory.mktemp("一個 地方")
    env = os.environ | {"AIGC_OUTPUTS": str(place / "輸出 outputs"), "AIGC_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "aigc", "train", "debug=limit", "trainer.num_threads=2"],
        cwd=place,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    run = Run.open("latest", place / "輸出 outputs" / "runs")
    (run.path / ".stdout").write_text(done.stdout, encoding="utf-8")
    return run

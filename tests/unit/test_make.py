"""`make` says plainly what is missing before it installs anything."""

import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
OLD = '#!/bin/sh\n[ "$1" = --version ] && { echo "Python 3.9.2"; exit 0; }\nexit 1\n'
BARE = '#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\nexit 0\n'


@pytest.mark.parametrize(("script", "said"), [(OLD, "needs Python 3.11 or newer"), (BARE, "has no venv module")])
@pytest.mark.parametrize("target", ["train", "test"])
def test_what_is_missing_is_said(script, said, target, tmp_path):
    python = tmp_path / "python"
    python.write_text(script)
    python.chmod(0o755)
    command = ["make", target, f"PYTHON={python}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0
    assert said in done.stdout
    assert not (tmp_path / "venv").exists()

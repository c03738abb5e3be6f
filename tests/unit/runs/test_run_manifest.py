import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs.manifest import edit_manifest, new_attempt, new_manifest, read_manifest, write_manifest

COUNT = """
import sys
from aigc.runs.manifest import edit_manifest
for number in range(20):
    with edit_manifest(sys.argv[1]) as manifest:
        manifest["attempts"].append(sys.argv[2])
        manifest["artifacts"][f"{sys.argv[2]}-{number}"] = "0"
"""


def make(folder: Path) -> None:
    write_manifest(folder, new_manifest("a-1", command=["aigc", "train"], seed=1, folder=folder))


def test_says_what_the_run_was_made_from(tmp_path: Path) -> None:
    manifest = new_manifest(
        "a-1", command=["aigc", "train", "hf_token=x1"], seed=7, data_fingerprint="f" * 64, folder=tmp_path
    )
    assert manifest["command"] == ["aigc", "train", "hf_token=<redacted>"]
    assert (manifest["schema_version"], manifest["run_id"], manifest["seed"]) == (1, "a-1", 7)
    assert manifest["data_fingerprint"] == "f" * 64
    assert manifest["git"]["working_directory"] is None
    assert manifest["packages"]["numpy"] is not None
    assert manifest["packages"]["aigc"] is not None
    assert manifest["python"] == ".".join(map(str, sys.version_info[:3]))
    assert manifest["hardware"]["cores"] >= 1
    assert manifest["hardware"]["memory_bytes"] > 2**20
    assert manifest["hardware"]["cpu"]
    json.dumps(manifest)


def test_numbers_that_json_has_not_survive(tmp_path: Path) -> None:
    make(tmp_path)
    with edit_manifest(tmp_path) as manifest:
        manifest["metrics"] = {"loss": math.nan, "perplexity": math.inf, "bleu": 12.5}
    metrics = read_manifest(tmp_path)["metrics"]
    assert math.isnan(metrics["loss"])
    assert (metrics["perplexity"], metrics["bleu"]) == (math.inf, 12.5)


def test_processes_that_edit_at_once_lose_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    children = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path), str(number)]) for number in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    manifest = read_manifest(tmp_path)
    assert sorted(manifest["attempts"]) == sorted(str(number) for number in range(4) for _ in range(20))
    assert len(manifest["artifacts"]) == 80


def test_an_exception_writes_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()

    def fail() -> None:
        with edit_manifest(tmp_path) as manifest:
            manifest["seed"] = 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "metrics": 3}'])
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        read_manifest(tmp_path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 99, "metrics": {}}')
    with pytest.raises(InputError, match="install a newer aigc"):
        read_manifest(tmp_path)


def test_attempt() -> None:
    attempt = new_attempt(from_step=30)
    assert list(attempt) == ["host", "pid", "start", "end", "exit_code", "status", "from_step", "to_step"]
    assert (attempt["from_step"], attempt["end"]) == (30, None)

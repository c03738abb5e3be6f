import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs.entries import Entry, always, nested
from aigc.runs.environment import PACKAGES, environment, may_change_numbers, normalised, package_versions, source_digest
from aigc.runs.manifest import Attempt, Manifest, Result, edit_manifest, read_manifest, read_record, write_manifest
from aigc.runs.origin import new_manifest
from aigc.runs.status import Status, write_status

COUNT = """
import sys
from aigc.runs.manifest import edit_manifest
for number in range(20):
    with edit_manifest(sys.argv[1]) as manifest:
        manifest.begin_attempt(overrides=[sys.argv[2]])
        manifest.artifacts[f"{sys.argv[2]}-{number}"] = "0"
"""


def make(folder: Path) -> None:
    write_manifest(folder, new_manifest("a-1", command=["aigc", "train"], seed=1, folder=folder))


def test_says_what_the_run_was_made_from(tmp_path: Path) -> None:
    manifest = new_manifest(
        "a-1",
        command=["aigc", "train", "hf_token=x1"],
        seed=7,
        data_fingerprint="f" * 64,
        config_sha256="c" * 64,
        folder=tmp_path,
    ).as_dict()
    assert manifest["command"] == ["aigc", "train", "hf_token=<redacted>"]
    assert (manifest["schema_version"], manifest["run_id"], manifest["seed"]) == (1, "a-1", 7)
    assert (manifest["data_fingerprint"], manifest["config_sha256"]) == ("f" * 64, "c" * 64)
    assert manifest["cwd"] == str(tmp_path)
    assert manifest["source_sha256"] == source_digest()
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
        manifest.metrics = {"loss": math.nan, "perplexity": math.inf, "bleu": 12.5}
    metrics = read_manifest(tmp_path)["metrics"]
    assert math.isnan(metrics["loss"])
    assert (metrics["perplexity"], metrics["bleu"]) == (math.inf, 12.5)


def test_processes_that_edit_at_once_lose_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    children = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path), str(number)]) for number in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    manifest = read_manifest(tmp_path)
    assert sorted(one["overrides"][0] for one in manifest["attempts"]) == sorted(
        str(number) for number in range(4) for _ in range(20)
    )
    assert len(manifest["artifacts"]) == 80


def test_an_exception_writes_nothing(tmp_path: Path) -> None:
    make(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()

    def fail() -> None:
        with edit_manifest(tmp_path) as manifest:
            manifest.seed = 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 1}', '{"schema_version": 1, "metrics": 3}'])
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json cannot be read"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("version", ["1", None, 1.5, [1]])
def test_a_schema_version_that_is_not_a_number_is_named(tmp_path: Path, version: object) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"schema_version": version, "metrics": {}}))
    with pytest.raises(InputError, match=r"manifest\.json cannot be read: schema_version"):
        read_manifest(tmp_path)


def test_a_new_entry_is_one_field(tmp_path: Path) -> None:
    @dataclass(kw_only=True)
    class Moon(Entry):
        phase: int
        colour: str | None = None

    @dataclass(kw_only=True)
    class More(Manifest):
        moons: list[Moon] = nested(Moon, list)
        tide: int | None = always()

    more = More.from_dict({**new_manifest("a-1", command=[]).as_dict(), "moons": [{"phase": 3}]})
    assert more.moons == [Moon(phase=3)]
    assert more.as_dict()["moons"] == [{"phase": 3}]
    assert more.as_dict()["tide"] is None
    more.moons.clear()
    assert "moons" not in more.as_dict(), "an empty entry is left out"


def test_a_name_that_is_no_field_is_refused() -> None:
    with pytest.raises(TypeError, match="kernel"):
        new_manifest("a-1", command=[]).note_machine("32-true", kernel="6.1")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 99, "metrics": {}}')
    with pytest.raises(InputError, match="install a newer aigc"):
        read_manifest(tmp_path)


def test_attempt() -> None:
    attempt = Manifest(schema_version=1, run_id="a-1", created="a").begin_attempt(from_step=30).as_dict()
    assert list(attempt) == ["host", "pid", "start", "end", "exit_code", "status", "from_step", "to_step"]
    assert (attempt["from_step"], attempt["end"]) == (30, None)


def test_all_distributions_are_listed_and_the_important_ones_stand_first() -> None:
    from importlib.metadata import version

    found = package_versions()
    assert tuple(found)[: len(PACKAGES)] == PACKAGES
    assert list(found)[len(PACKAGES) :] == sorted(set(found) - set(PACKAGES))
    for name in ("pytest", "hypothesis", "pyyaml", "antlr4-python3-runtime", "huggingface-hub"):
        assert found[name] == version(name)


def test_a_missing_package_is_null_and_names_are_normalised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "Foo.Bar_baz-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: Foo.Bar_baz\nVersion: 1.0\n")
    (tmp_path / "damaged-1.0.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    found = package_versions.__wrapped__()  # what is kept for the whole process is not of this path
    assert found["foo-bar-baz"] == "1.0"
    assert (found["torch"], found["aigc"]) == (None, "0.1.0")
    assert "damaged" not in found
    assert normalised("Foo.Bar_baz") == "foo-bar-baz"


def test_the_environment_is_an_allow_list_without_secrets() -> None:
    token = "hf_" + "a1" * 17
    variables = {
        "OMP_NUM_THREADS": "4",
        "MKL_CBWR": "COMPATIBLE",
        "NCCL_ALGO": "Ring",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_TOKEN": token,
        "WANDB_API_KEY": "f" * 40,
        "AWS_SECRET_ACCESS_KEY": "x",
        "HOME": "/home/me",
        "TORCH_HUB_TOKEN": "abcdef1",
        "TORCH_HOME": f"/x/{token}",
    }
    found = environment(variables)
    assert found["OMP_NUM_THREADS"] == "4"
    expected = {"OMP_NUM_THREADS", "MKL_CBWR", "NCCL_ALGO", "CUBLAS_WORKSPACE_CONFIG"}
    assert set(found) == expected | {"TORCH_HUB_TOKEN", "TORCH_HOME"}
    assert found["TORCH_HUB_TOKEN"] == "<redacted>"
    assert found["TORCH_HOME"] == "/x/<redacted>"


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("OMP_NUM_THREADS", True),
        ("MKL_CBWR", True),
        ("NVIDIA_TF32_OVERRIDE", True),
        ("PYTHONHASHSEED", True),
        ("SLURM_JOB_ID", False),
        ("TMPDIR", False),
        ("AIGC_CACHE", False),
        ("HF_HUB_OFFLINE", False),
    ],
)
def test_which_variables_may_change_numbers(name: str, may: bool) -> None:
    assert may_change_numbers(name) is may


def test_dead_attempts_are_closed_as_killed_and_ended_ones_stay(tmp_path: Path) -> None:
    make(tmp_path)
    ended = Attempt(end="2026-01-01T00:00:00+00:00", status="preempted", to_step=4)
    with edit_manifest(tmp_path) as manifest:
        manifest.attempts = [ended]
        manifest.begin_attempt(4)
    record = write_status(tmp_path, Status.RUNNING, step=9)
    with edit_manifest(tmp_path) as manifest:
        assert manifest.close_dead_attempts(tmp_path) == 1
        assert manifest.close_dead_attempts(tmp_path) == 0
    first, second = read_manifest(tmp_path)["attempts"]
    assert first == ended.as_dict()
    assert (second["status"], second["from_step"], second["to_step"]) == ("killed", 4, 9)
    assert second["start"] <= second["end"]
    assert second["end"] == record.heartbeat


def test_a_run_without_a_status_has_no_dead_attempts(tmp_path: Path) -> None:
    make(tmp_path)
    with edit_manifest(tmp_path) as manifest:
        assert manifest.close_dead_attempts(tmp_path) == 0


def test_entries_of_another_version_are_kept_and_missing_ones_have_defaults(tmp_path: Path) -> None:
    older = {
        "schema_version": 1,
        "run_id": "a-1",
        "created": "a",
        "metrics": {},
        "attempts": [{"start": "a", "mood": "good"}],
        "moon": {"phase": 3},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(older))
    record = read_record(tmp_path)
    assert (record.jobs, record.seed, record.attempts[0].overrides) == ([], None, [])
    with edit_manifest(tmp_path) as manifest:
        manifest.attempts[0].exit_code = 0
    after = read_manifest(tmp_path)
    assert (after["moon"], after["attempts"][0]["mood"]) == ({"phase": 3}, "good")
    assert "environment" not in after, "older manifests are known by what they lack"


def test_a_result_is_noted_whole(tmp_path: Path) -> None:
    make(tmp_path)
    with edit_manifest(tmp_path) as manifest:
        manifest.note_result({"val/bleu": 7.5}, {"val/bleu": "tok:zh"}, {"model/a": "0"}, Result(seconds=2.0))
    after = read_manifest(tmp_path)
    assert (after["metrics"], after["signatures"], after["artifacts"]) == (
        {"val/bleu": 7.5},
        {"val/bleu": "tok:zh"},
        {"model/a": "0"},
    )
    assert after["result"] == {"best_step": None, "seconds": 2.0}

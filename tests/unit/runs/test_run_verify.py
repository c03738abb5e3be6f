"""One changed byte in any file whose hash was noted is found, and nothing else is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs import Run
from aigc.runs.files import sha256_file
from aigc.runs.verify import Finding, verify

FILES = {"model/config.json": b"{}", "model/model.safetensors": b"\0" * 5000, "checkpoints/step-000002.ckpt": b"two"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    run = Run.create(tmp_path / "runs", "lm/tiny", "seed: 1\n", seed=1)
    for name, content in FILES.items():
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_bytes(content)
    checkpoint(run, "step-000002.ckpt")
    (run.checkpoints / "last.ckpt").symlink_to("step-000002.ckpt")
    names = [*FILES, "checkpoints/last.ckpt"]
    with run.edit_manifest() as manifest:
        manifest.artifacts = {name: sha256_file(run.path / name) for name in names}
        manifest.config_sha256 = sha256_file(run.path / "config.yaml")
    return run


def checkpoint(run: Run, name: str) -> None:
    digest = sha256_file(run.checkpoints / name)
    (run.checkpoints / f"{name}.sha256").write_text(f"{digest}  {name}\n")


def problems(run: Run) -> dict[str, str]:
    return {finding.file: finding.problem for finding in verify(run) if finding.problem}


def test_an_untouched_run_has_no_problem(run: Run) -> None:
    assert [finding.file for finding in verify(run)] == sorted([*FILES, "checkpoints/last.ckpt", "config.yaml"])
    assert problems(run) == {}


@pytest.mark.parametrize("name", [*FILES, "config.yaml"])
def test_one_changed_byte_is_found(run: Run, name: str) -> None:
    content = bytearray((run.path / name).read_bytes())
    content[-1] ^= 1
    before = sha256_file(run.path / name)
    (run.path / name).write_bytes(content)
    also = {"checkpoints/last.ckpt": "changed"} if name.endswith(".ckpt") else {}
    assert problems(run) == {name: "changed", **also}
    (found,) = (finding for finding in verify(run) if finding.file == name)
    assert found == Finding(name, "changed", before, sha256_file(run.path / name))


@pytest.mark.parametrize("name", [*FILES, "config.yaml"])
def test_a_missing_file_is_found(run: Run, name: str) -> None:
    (run.path / name).unlink()
    also = {"checkpoints/last.ckpt": "missing"} if name.endswith(".ckpt") else {}
    assert problems(run) == {name: "missing", **also}


def test_what_no_hash_was_noted_of_does_not_count(run: Run) -> None:
    (run.path / "log.txt").write_text("more")
    with (run.path / "overrides.txt").open("a") as file:
        file.write("more")
    assert problems(run) == {}


def test_checkpoints_of_a_run_that_never_finished_have_their_checksums(run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.artifacts = {}
        manifest.config_sha256 = None  # as an older aigc wrote it
    assert problems(run) == {}
    (run.checkpoints / "step-000003.ckpt").write_bytes(b"three")
    assert problems(run) == {"checkpoints/step-000003.ckpt": "no checksum"}
    checkpoint(run, "step-000003.ckpt")
    assert problems(run) == {}
    (run.checkpoints / "step-000003.ckpt").write_bytes(b"thref")
    assert problems(run) == {"checkpoints/step-000003.ckpt": "changed"}
    (run.checkpoints / "step-000003.ckpt").unlink()
    assert problems(run) == {"checkpoints/step-000003.ckpt": "missing"}


def test_a_checkpoint_must_fit_both_its_checksum_and_the_manifest(run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.artifacts["checkpoints/step-000002.ckpt"] = "0" * 64
    assert problems(run) == {"checkpoints/step-000002.ckpt": "changed"}
    with run.edit_manifest() as manifest:
        manifest.artifacts = {name: sha256_file(run.path / name) for name in FILES}
    assert problems(run) == {}
    (run.checkpoints / "step-000002.ckpt.sha256").write_text("1" * 64)
    assert problems(run)["checkpoints/step-000002.ckpt"] == "changed"


def test_a_hard_link_needs_no_checksum_of_its_own(run: Run) -> None:
    (run.checkpoints / "last.ckpt").unlink()
    (run.checkpoints / "last.ckpt").hardlink_to(run.checkpoints / "step-000002.ckpt")
    with run.edit_manifest() as manifest:
        manifest.artifacts = {}
    assert problems(run) == {}


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret", "model/../../secret"])
def test_a_manifest_cannot_make_us_read_elsewhere(run: Run, name: str) -> None:
    (run.path.parent / "secret").write_text("x")
    with run.edit_manifest() as manifest:
        manifest.artifacts = {name: "0" * 64}
    (found,) = (finding for finding in verify(run) if finding.file == name)
    assert (found.problem, found.found) == ("outside the run folder", None)


def test_a_damaged_manifest_is_an_input_error(run: Run) -> None:
    (run.path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        verify(run)


def test_verifying_stays_light(run: Run) -> None:
    code = (
        "import sys; from aigc.cli import verify; from aigc.cli.parts.options import VerbParser\n"
        "code = verify.run(verify.parser().parse_args(sys.argv[1:]))\n"
        "print([m for m in ('torch', 'omegaconf', 'pandas') if m in sys.modules]); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "5 of 5 files are unchanged\n[]\n"), done.stderr
    (run.path / "config.yaml").write_text("seed: 2\n")
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 1
    told = json.loads(done.stdout.splitlines()[0])
    assert not told["unchanged"]
    assert [file["file"] for file in told["files"] if file["problem"]] == ["config.yaml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("config.yaml: changed, was ")

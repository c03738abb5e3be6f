"""A run trained again gives the same numbers; where it does not, the first one that differs and the cause are named."""

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aigc.runs import Run
from aigc.runs.files import sha256_file
from aigc.runs.status import write_status
from tests.conftest import WORDS
from tests.launch.forking import run_aigc
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

SMALL = [
    *("debug=fast", "trainer.max_steps=4", "data.path=mine.txt", "data.text_column=null", "data.sequence_length=64"),
    *("model.settings.n_embd=32", "model.settings.n_head=2", "logger=none"),
]
Verb = Callable[..., "subprocess.CompletedProcess[str]"]


def aigc_in(place: Path, cache: Path, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return run_aigc(arguments, place, AIGC_OUTPUTS="outputs", AIGC_CACHE=str(cache), **variables)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A working directory with a corpus and one small run, which no test changes."""
    place = tmp_path_factory.mktemp("一個 地方")
    random.seed(1)
    lines = (" ".join(random.choices(WORDS, k=20)) + ".\n" for _ in range(400))
    (place / "mine.txt").write_text("".join(lines), encoding="utf-8")
    done = aigc_in(place, cache, "train", *SMALL)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def place(original: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def run(place: Path) -> Run:
    (path,) = (place / "outputs/runs").iterdir()
    return Run.open(path)


@pytest.fixture
def verb(place: Path, cache: Path) -> Verb:
    return lambda *arguments, **variables: aigc_in(place, cache, *arguments, **variables)


def others(run: Run) -> list[Run]:
    return [Run.open(path) for path in run.path.parent.iterdir() if path != run.path]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def change_value(run: Run, step: int, metric: str, change: Callable[[float], float]) -> tuple[float, float]:
    """Change one value of metrics.jsonl; return the new value and the former one."""
    path = run.path / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    (row,) = (row for row in rows if row["step"] == step and metric in row)
    before, row[metric] = row[metric], change(row[metric])
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return row[metric], before


def test_a_whole_run_is_identical_to_the_last_bit(verb: Verb, run: Run) -> None:
    done = verb("reproduce", "latest")
    assert done.returncode == 0, done.stderr
    weights = run.manifest["artifacts"]["model/model.safetensors"]
    values = sum(name not in ("step", "epoch", "wall_time", "signatures") for row in rows(run) for name in row)
    first, path = done.stdout.splitlines()
    assert re.fullmatch(rf"identical, 4 steps, \d+ metrics \({values - 4} values\), weights {weights[:8]}", first)
    assert "no drift: " in done.stderr
    (made,) = others(run)
    assert str(made.path) == path
    assert (made.manifest["reproduces"], made.manifest["identity"]) == (run.id, None)
    assert made.manifest["metrics"].keys() == run.manifest["metrics"].keys()
    for one in (run, made):
        verified = verb("verify", one.id)
        assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout


def rows(run: Run) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_one_last_digit_in_one_value_is_found(verb: Verb, run: Run) -> None:
    changed, real = change_value(run, 2, "train/loss", lambda value: math.nextafter(value, 0))
    done = verb("reproduce", run.id, "--steps", "3")
    assert done.returncode == 1, done.stderr
    first, cause, _ = done.stdout.splitlines()
    assert first.startswith(f"different at step 2: train/loss was {changed!r}, is {real!r} (by ")
    assert "; 1 of " in first
    assert cause.startswith("no drift was found: ")


def test_another_seed_in_the_config_is_named_with_both_values(verb: Verb, run: Run) -> None:
    edit(run.path / "config.yaml", "seed: 0", "seed: 7")
    done = verb("reproduce", run.id, "--steps", "1", "--json")
    assert done.returncode == 1, done.stderr
    assert f"drift since {run.id}: config: seed 0 -> 7 in config.yaml" in done.stderr
    told = json.loads(done.stdout)
    assert not told["identical"]
    assert told["first_difference"]["step"] == 1
    assert told["likely_cause"].startswith("likely cause: config.yaml was changed")
    assert "seed 0 -> 7" in told["likely_cause"]
    assert "less likely" not in told["likely_cause"]
    verified = verb("verify", run.id)
    assert verified.returncode == 1
    assert verified.stdout.startswith("config.yaml: changed, was ")


def test_one_changed_line_of_the_data_is_named(verb: Verb, run: Run, place: Path) -> None:
    edit(place / "mine.txt", "dog", "elephants and zebras")  # another length moves what follows to other rows
    done = verb("reproduce", run.id, "--steps", "2")
    assert done.returncode == 1, done.stderr
    fingerprint = run.manifest["data_fingerprint"][:8]
    assert f"drift since {run.id}: data: fingerprint {fingerprint} -> " in done.stderr
    first, cause, _ = done.stdout.splitlines()
    assert first.startswith("different at step 1: ")
    assert cause.startswith(f"likely cause: the data have changed: fingerprint {fingerprint} -> ")


def test_other_weights_and_another_package_are_named(verb: Verb, run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.artifacts["model/model.safetensors"] = "0" * 64
        manifest.packages["torch"] = "1.0"
    done = verb("reproduce", run.id)
    assert done.returncode == 1, done.stderr
    assert f"drift since {run.id}: packages: torch 1.0 -> " in done.stderr
    first, cause, _ = done.stdout.splitlines()
    assert first.startswith("different weights: model/model.safetensors was 00000000, is ")
    assert cause.startswith("likely cause: ")
    assert ": torch 1.0 -> " in cause


def test_another_number_of_threads_is_named_before_training(run: Run, place: Path, cache: Path) -> None:
    env = os.environ | {"AIGC_OUTPUTS": "outputs", "AIGC_CACHE": str(cache), "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-m", "aigc", "reproduce", run.id, "--steps", "1"]
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    done = subprocess.run(command, cwd=place, env=env, timeout=PATIENCE, **quiet)
    assert done.returncode in (0, 1), done.stderr
    told = done.stderr.partition("parameters")[0]
    assert "threads: torch 1 -> 2" in told
    assert "environment: OMP_NUM_THREADS 1 -> 2" in told


def test_an_unfinished_run_is_reproduced_up_to_its_last_step(verb: Verb, run: Run) -> None:
    path = run.path / "metrics.jsonl"
    kept = [row for row in rows(run) if row["step"] < 3 or (row["step"] == 3 and "train/loss" in row)]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    write_status(run.path, "interrupted", step=3)
    done = verb("reproduce", run.id)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("identical, 3 steps, ")
    assert f"{run.id} is interrupted: " in done.stderr
    assert "up to step 3" in done.stderr
    (made,) = others(run)
    assert (made.manifest["until_step"], max(row["step"] for row in rows(made))) == (3, 3)
    assert made.config.trainer.max_steps == 4
    again = verb("reproduce", made.id, "--steps", "2")
    assert again.returncode == 0, again.stderr


def test_a_step_that_only_a_validation_recorded_is_validated(verb: Verb, place: Path, cache: Path) -> None:
    sparse = ["trainer.log_every_n_steps=100", "trainer.validate_every_n_steps=2", "run.id=sparse"]
    done = aigc_in(place, cache, "train", *SMALL, *sparse)
    assert done.returncode == 0, done.stderr
    again = verb("reproduce", "sparse", "--steps", "2", "--json")
    assert again.returncode == 0, again.stderr
    found = json.loads(again.stdout)
    assert (found["identical"], found["steps"]) == (True, 2)
    assert found["values"] > 0


def test_missing_data_are_an_error_that_names_where_the_run_was_started(verb: Verb, run: Run, place: Path) -> None:
    (place / "mine.txt").unlink()
    done = verb("reproduce", run.id)
    assert (done.returncode, done.stdout) == (2, "")
    assert "mine.txt: no such file" in done.stderr
    assert run.manifest["cwd"] in done.stderr
    assert others(run) == []


@pytest.mark.parametrize("steps", ["0", "-1", "5"])
def test_steps_beyond_the_run_are_refused(verb: Verb, run: Run, steps: str) -> None:
    done = verb("reproduce", run.id, "--steps", steps)
    assert (done.returncode, done.stdout) == (2, "")
    assert "from step 1 to 4" in done.stderr
    assert others(run) == []


def test_a_run_resumed_with_other_settings_is_refused(verb: Verb, run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.attempts.append(replace(manifest.attempts[0], from_step=2, overrides=["data.batch_size=3"]))
    done = verb("reproduce", run.id)
    assert (done.returncode, done.stdout) == (2, "")
    assert "at step 2 (attempt 2: data.batch_size=3)" in done.stderr
    assert others(run) == []


def test_a_run_without_logged_values_is_refused(verb: Verb, run: Run) -> None:
    (run.path / "metrics.jsonl").unlink()
    done = verb("reproduce", run.id)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"aigc reproduce: {run.id} " in done.stderr


def test_a_run_folder_cannot_extend_what_is_trusted(verb: Verb, run: Run, place: Path) -> None:
    (place / "evil.py").write_text("open('ran', 'w')\nclass Model: pass\n", encoding="utf-8")
    edit(run.path / "config.yaml", "aigc.models.TransformersCausalLM", "evil.Model")
    done = verb("reproduce", run.id)
    assert (done.returncode, done.stdout) == (2, "")
    assert "package 'evil' is not trusted" in done.stderr
    assert "config: config.yaml" in done.stderr  # the drift is reported in any case
    assert not (place / "ran").exists()
    assert others(run) == []


def test_a_changed_byte_of_the_model_is_found_by_verify(verb: Verb, run: Run) -> None:
    path = run.model / "model.safetensors"
    before = sha256_file(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = verb("verify", run.id)
    assert done.returncode == 1
    assert done.stdout.startswith(f"model/model.safetensors: changed, was {before[:8]}, is {sha256_file(path)[:8]}\n")
    (run.checkpoints / "last.ckpt").unlink()
    told = json.loads(verb("verify", run.id, "--json").stdout)
    assert not told["unchanged"]
    found = {file["file"]: file["problem"] for file in told["files"]}
    assert (found["model/model.safetensors"], found["checkpoints/last.ckpt"]) == ("changed", "missing")
    assert found["config.yaml"] is None

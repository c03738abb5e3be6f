"""`aigc resume`, `run.resume=auto` and `run.id` as processes."""

import json
import signal
import struct
from collections import Counter
from pathlib import Path

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, step_of
from aigc.runs.metrics_file import read
from tests.launch.forking import run_aigc, server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

TINY = [
    "data.sequence_length=32",
    "data.batch_size=2",
    "model.settings={n_layer:1,n_head:2,n_embd:16}",
    "trainer.max_steps=40",
    "trainer.validate_every_n_steps=20",
    "trainer.limit_val_batches=2",
    "trainer.log_every_n_steps=1",
    "trainer.num_threads=1",
    "evaluation.generation.samples=2",
    "evaluation.generation.sampling.max_new_tokens=3",
    "callbacks.checkpoints.every_n_steps=5",
    "callbacks.progress.every_seconds=0",
]


def started(place, *arguments, until, verb=("train",)):
    """Start a process, and wait until it has printed this."""
    child = server().start([*verb, *arguments], place)
    wait_until(lambda: until in child.output or child.ended)
    assert until in child.output, child.output
    return child


def ended(child, number):
    child.send(number)
    return child.wait(), child.output


def rows(run):
    left_out = {"wall_time", "train/tokens_per_second"}
    return [{k: v for k, v in row.items() if k not in left_out} for row in read(run.path / "metrics.jsonl")]


def weights(run):
    return run.manifest["artifacts"]["model/model.safetensors"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    place = tmp_path_factory.mktemp("whole")
    done = run_aigc(["train", *TINY, "run.id=whole"], place, AIGC_OUTPUTS=str(place / "outputs"), AIGC_CACHE=str(cache))
    assert done.returncode == 0, done.stderr
    return Run.open(place / "outputs/runs/whole")


def test_resume_continues_in_the_same_folder_and_ends_with_the_same_bits(aigc, own_place, whole):
    child = started(own_place, *TINY, until="step 12 of")
    code, message = ended(child, signal.SIGTERM)
    run = Run.open("latest", own_place / "outputs/runs")
    assert code == 75
    assert f"which is saved; `aigc resume {run.id}`" in message
    assert run.status == "preempted"
    done = aigc("resume", run.id, "data.num_workers=1")
    assert done.returncode == 0, done.stderr
    assert "resuming from step" in done.stderr
    assert str(run.path.relative_to(own_place)) in done.stdout
    assert len(list((own_place / "outputs/runs").iterdir())) == 1
    assert rows(run) == rows(whole)
    assert weights(run) == weights(whole)
    first, second = run.manifest["attempts"]
    assert (first["status"], second["status"]) == ("preempted", "finished")
    assert second["from_step"] == first["to_step"]
    assert second["overrides"] == ["data.num_workers=1"]
    again = aigc("resume", run.id)
    assert (again.returncode, "is finished" in again.stderr) == (0, True)


def test_the_same_command_starts_resumes_and_then_has_nothing_to_do(aigc, own_place, whole):
    command = [*TINY, "run.resume=auto"]
    assert ended(started(own_place, *command, until="step 12 of"), signal.SIGKILL)[0] == -signal.SIGKILL
    run = Run.open("latest", own_place / "outputs/runs")
    assert run.status == "killed"
    reached = rows(run)[-1]["step"]
    assert reached - step_of(CheckpointFolder(run.checkpoints).newest_whole()) <= 5
    for message in ("resuming", "is finished: there is nothing to do"):
        done = aigc("train", *command)
        assert done.returncode == 0, done.stderr
        assert message in done.stderr
    assert len(list((own_place / "outputs/runs").iterdir())) == 1
    assert rows(run) == rows(whole)
    assert weights(run) == weights(whole)
    assert [attempt["status"] for attempt in run.manifest["attempts"]] == ["killed", "finished"]
    other = aigc("train", *command, "seed=1", "trainer.max_steps=2")
    assert other.returncode == 0, other.stderr
    assert len(list((own_place / "outputs/runs").iterdir())) == 2


def test_a_run_in_use_is_refused(aigc, own_place):
    child = started(own_place, *TINY, "trainer.max_steps=100000", "run.id=mine", until="step 2 of")
    for arguments in (
        ["resume", "mine"],
        ["train", *TINY, "trainer.max_steps=100000", "run.id=mine", "run.resume=auto"],
    ):
        done = aigc(*arguments)
        assert done.returncode == 2
        assert f"run mine is in use by process {child.pid} on" in done.stderr
    assert Run.open(own_place / "outputs/runs/mine").status == "running"
    assert ended(child, signal.SIGINT)[0] == 130


def test_a_wrong_resume_is_refused_with_the_reason(aigc, own_place):
    for arguments, message in [
        (["resume", "nothing"], "there is no run 'nothing'"),
        (["train", *TINY, "run.id=a/b"], "run.id=a/b"),
        (["train", "run.resume=always"], "run.resume"),
        (["train", "resume.allow=[everything]"], "resume.allow"),
    ]:
        done = aigc(*arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
    code, _ = ended(started(own_place, *TINY, "run.id=mine", until="step 12 of"), signal.SIGTERM)
    assert code == 75
    for arguments, message in [
        (["train", *TINY, "run.id=mine"], "run.resume=auto"),
        (["train", *TINY, "run.id=mine", "run.resume=auto", "seed=5"], "has another config"),
        (["resume", "mine", "optimizer.lr=1"], "optimizer.lr (command line: optimizer.lr=1): cannot be changed"),
        (["resume", "mine", "data.batch_size=4"], "batch size was 2 and is 4"),
        (["resume", "mine", "data=couplets"], "data fingerprint was"),
    ]:
        done = aigc(*arguments)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert not [words for words in ("resuming from step", "last digits") if words in done.stderr]
        assert Run.open(own_place / "outputs/runs/mine").status == "preempted"
    assert len(Run.open(own_place / "outputs/runs/mine").manifest["attempts"]) == 1
    done = aigc("resume", "mine", "data.batch_size=4", "resume.allow=[batch_size]")
    assert done.returncode == 0, done.stderr
    assert Run.open(own_place / "outputs/runs/mine").manifest["attempts"][-1]["overrides"][0] == "data.batch_size=4"


def records(path: Path):
    """The records of an offline W&B run: LevelDB's log format, blocks of 32 KiB, after a header of seven bytes."""
    content, position, parts = path.read_bytes(), 7, []
    while position + 7 <= len(content):
        left = 32768 - position % 32768
        if left < 7:
            position += left
            continue
        _, size, kind = struct.unpack("<IHB", content[position : position + 7])
        parts.append(content[position + 7 : position + 7 + size])
        position += 7 + size
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(b"".join(parts))
            parts = []
            yield record


def test_wandb_resumes_the_same_run_without_gaps_or_duplicate_rows(aigc, own_place):
    command = [*TINY, "logger=wandb", "run.resume=auto"]
    child = started(own_place, *command, until="step 13 of")
    ended(child, signal.SIGKILL)
    run = Run.open("latest", own_place / "outputs/runs")
    done = aigc("train", *command)
    assert done.returncode == 0, done.stderr
    parts = sorted((run.path / "wandb").glob("offline-run-*"))
    assert len(parts) == 2
    sent: Counter[tuple[int, str]] = Counter()
    for part in parts:
        assert (part / f"run-{run.id}.wandb").is_file()
    for record in records(parts[-1] / f"run-{run.id}.wandb"):
        if record.WhichOneof("record_type") == "history":
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            sent.update((row["trainer/global_step"], name) for name in row if name.startswith(("train/", "val/")))
    logged = Counter((row["step"], name) for row in read(run.path / "metrics.jsonl") for name in row if "/" in name)
    assert sent == logged

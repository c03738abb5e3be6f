from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.runs import Run, list_runs
from aigc.runs.manifest import Attempt
from aigc.runs.metrics_writer import MetricsFile
from aigc.runs.status import Status, write_status
from aigc.runs.table import describe, main_metrics, summary


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    return Run.create(tmp_path / "runs", "lm/tiny", "seed: 1", overrides=["seed=1"])


def at(second: int) -> str:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC).isoformat()


def test_row_of_a_run_that_waits(run: Run) -> None:
    row = summary(run)
    assert (row["id"], row["status"], row["duration"], row["step"], row["metrics"]) == (
        run.id,
        "pending",
        None,
        None,
        {},
    )
    assert row["started"] == run.manifest["created"]


def test_row_of_a_finished_run_adds_up_its_attempts(run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.attempts = [Attempt(start=at(0), end=at(10)), Attempt(start=at(30), end=at(35), from_step=5)]
        manifest.metrics = {"train/loss": 1.0, "val/bleu": 20.0}
    write_status(run.path, Status.FINISHED, step=9)
    row = summary(run)
    assert (row["status"], row["started"], row["duration"], row["step"]) == ("finished", at(0), 15.0, 9)
    assert list(row["metrics"]) == ["val/bleu", "train/loss"]


def test_a_row_has_one_form_of_perplexity_and_no_throughput(run: Run) -> None:
    with run.edit_manifest() as manifest:
        manifest.metrics = {
            "train/tokens_per_second": 900.0,
            "train/learning_rate": 0.1,
            "val/bits_per_byte": 1.0,
            "val/perplexity_per_character": 3.0,
            "val/perplexity": 4.0,
            "val/bleu": 20.0,
        }
    assert list(summary(run)["metrics"]) == ["val/perplexity", "val/bleu"]


def test_the_folder_of_outputs_lists_the_runs_in_it(run: Run) -> None:
    assert [one.id for one in list_runs(run.path.parent.parent)] == [run.id]
    assert Run.open(run.id, run.path.parent.parent).path == run.path


def test_row_of_a_running_run_shows_the_last_line(run: Run) -> None:
    start = (datetime.now(UTC) - timedelta(seconds=60)).isoformat()
    with run.edit_manifest() as manifest:
        manifest.attempts = [Attempt(start=start)]
    write_status(run.path, Status.RUNNING)
    with MetricsFile(run.path / "metrics.jsonl") as file:
        file.append(4, 0, {"loss": 2.0})
    row = summary(run)
    assert (row["status"], row["step"], row["metrics"]) == ("running", 4, {"loss": 2.0})
    assert 60 <= row["duration"] < 120


@pytest.mark.parametrize("file", ["manifest.json", "status.json"])
@pytest.mark.parametrize("content", [None, "{", "[]", '{"schema_version": 1, "metrics": {}}'])
def test_damaged_run_is_a_row_too(run: Run, file: str, content: str | None) -> None:
    (run.path / file).unlink() if content is None else (run.path / file).write_text(content)
    (row,) = [summary(listed) for listed in list_runs(run.path.parent)]
    assert (row["id"], row["status"]) == (run.id, "damaged")
    assert file in row["message"] or "manifest" in row["message"]
    with pytest.raises(InputError):
        describe(run)


def test_main_metrics_put_known_measures_first() -> None:
    values = {"train/loss": 1.0, "val/a": 2.0, "val/bleu": 3.0, "val/perplexity": 4.0}
    assert list(main_metrics(values, 3)) == ["val/perplexity", "val/bleu", "val/a"]


def test_description(run: Run) -> None:
    run.checkpoints.mkdir()
    (run.checkpoints / "last.ckpt").write_bytes(b"")
    description = describe(run)
    assert description["overrides"] == ["seed=1"]
    assert description["checkpoints"] == ["last.ckpt"]
    assert (description["has_model"], description["has_patch"]) == (False, False)
    assert description["manifest"]["run_id"] == run.id

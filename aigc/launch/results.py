"""Save the results of a finished run: the model in a layout that other tools load, and scores in the manifest."""

import os
import re
import shutil
from dataclasses import replace
from typing import Any

from pytorch_lightning import Callback, LightningDataModule

from aigc.callbacks import Throughput
from aigc.launch import data_state
from aigc.runs import Run
from aigc.runs.files import retrying, sha256_file, sync_folder
from aigc.runs.folder import write_model_notes
from aigc.runs.manifest import Result
from aigc.tasks import Task


def save_model_folder(run: Run, task: Task, data: Any) -> None:
    """Write model/ atomically.

    Raises:
        AigcError: The disk could not be written for too long.
    """
    retrying(lambda: _write_model(run, task, data), f"write {run.model}")


def _write_model(run: Run, task: Task, data: Any) -> None:
    temporary = run.path / ".model.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        task.save_model(temporary)
    except Exception as error:  # safetensors wraps the system's error in its own
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(temporary)) from error
    if save := getattr(data, "save_beside_model", None):  # data of one's own need not have it
        save(temporary)
    if isinstance(data, LightningDataModule):
        data_state.write(data.state_dict(), temporary)
    write_model_notes(temporary, {"saved_model": task.saved_model} | getattr(data, "model_notes", {}))
    readable = temporary.stat().st_mode & 0o666  # safetensors creates files that only the owner may read
    for path in temporary.rglob("*"):
        if path.is_file():
            path.chmod(readable)
    before = run.path / ".model.before.tmp"
    shutil.rmtree(before, ignore_errors=True)
    if run.model.exists():
        run.model.rename(before)
    temporary.rename(run.model)
    shutil.rmtree(before, ignore_errors=True)
    sync_folder(run.path)


def save_result(
    run: Run,
    metrics: dict[str, float],
    signatures: dict[str, str],
    callbacks: dict[str, Callback],
    result: Result,
) -> None:
    """Write final metrics, their signatures, time of all attempts, throughput and the hashes of all artifacts.

    Args:
        run: The run.
        metrics: Final metrics.
        signatures: Signatures of the metrics, by the same names.
        callbacks: Callbacks of the run, by name.
        result: With the duration of this attempt alone.
    """
    throughput = next((c for c in callbacks.values() if isinstance(c, Throughput)), None)
    checkpoints = [path for pattern in ("*.ckpt", "step-*.ckpt/*") for path in run.checkpoints.glob(pattern)]
    kept = [*run.model.rglob("*"), *checkpoints, *run.samples.rglob("*"), run.path / "metrics.jsonl"]
    artifacts = {str(path.relative_to(run.path)): sha256_file(path) for path in sorted(kept) if path.is_file()}
    with run.edit_manifest() as manifest:
        before = sum(attempt.seconds for attempt in manifest.attempts[:-1])
        result = replace(result, seconds=result.seconds + before)
        if throughput is not None:
            result.per_second, result.unit = throughput.per_second(), throughput.unit
        manifest.note_result(metrics, signatures, artifacts, result)

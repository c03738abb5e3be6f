"""Runs as rows for `aigc ls` and as a description for `aigc show`; nothing here prints."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from aigc.errors import InputError
from aigc.runs.folder import Run
from aigc.runs.manifest import Attempt
from aigc.runs.metrics_file import FIXED_COLUMNS, read_last
from aigc.runs.status import Status, read_status

DAMAGED = "damaged"
MEASURES = {
    "val/perplexity": "perplexity per token",
    "val/perplexity_per_character": "perplexity per character",
    "val/bits_per_byte": "bits per byte",
    "val/bits_per_character": "bits per character",
    "val/form_accuracy": "well-formed, %",
    "val/bleu": "BLEU",
    "val/chrf": "chrF",
    "val/ter": "TER, lower is better",
    "val/rouge1": "ROUGE-1",
    "val/rouge2": "ROUGE-2",
    "val/rougeL": "ROUGE-L",
    "val/rougeLsum": "ROUGE-Lsum",
    "val/exact_match": "exact match, %",
    "val/python_syntax": "Python syntax, %",
    "val/distinct_1": "distinct 1-grams, %",
    "val/distinct_2": "distinct 2-grams, %",
    "val/self_bleu": "Self-BLEU, lower is more diverse",
    "val/fid": "FID, lower is better",
    "val/fid_floor": "FID of real images",
    "val/kid": "KID, lower is better",
    "val/kid_std": "KID, standard deviation",
    "val/is": "inception score",
    "val/is_std": "inception score, standard deviation",
}
"""Readable names of metrics, in the order in which they are shown."""
_LIKELIHOODS = ("val/perplexity", "val/perplexity_per_character", "val/bits_per_byte", "val/bits_per_character")
"""The likelihood in several units."""
_NO_SCORES = ("_per_second", "/mfu", "learning_rate", "gradient_norm")
"""Ends of names of values that say how training runs, and not how good it is."""


def summary(run: Run, metric_count: int = 3) -> dict[str, Any]:
    """Return a run as a table row.

    Args:
        run: The run; a damaged one has the status `damaged` and the reason as its message.
        metric_count: Number of metrics to include.

    Returns:
        id, path, status, started (UTC in ISO 8601), duration (seconds of all attempts), step, message, and metrics:
        the final ones or, before the end, the last logged ones. Unknown values are None.
    """
    row: dict[str, Any] = {"id": run.id, "path": str(run.path), "status": DAMAGED}
    row |= dict.fromkeys(("started", "duration", "step", "message"))
    try:
        manifest, record = run.record, read_status(run.path)
        attempts = manifest.attempts
        last = read_last(run.path / "metrics.jsonl")
        row["started"] = attempts[0].start if attempts else manifest.created
        row["duration"] = _duration(attempts, record.status, record.since)
        row["step"] = record.step if record.step is not None else last.get("step")
        values = manifest.metrics or {name: value for name, value in last.items() if name not in FIXED_COLUMNS}
        metrics = main_metrics(_scores(values), metric_count)
    except (InputError, KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputError) else f"manifest.json is damaged: {error!r}"
        return {**row, "message": reason, "metrics": {}}
    return {**row, "status": str(record.status), "message": record.message, "metrics": metrics}


def describe(run: Run) -> dict[str, Any]:
    """Return everything about a run except its config: summary, status record, manifest and contents.

    Raises:
        InputError: The run folder is damaged.
    """
    row = summary(run)
    if row["status"] == DAMAGED:
        raise InputError(f"run {run.id} is damaged: {row['message']}")
    overrides = run.path / "overrides.txt"
    return {
        **row,
        "status_record": asdict(read_status(run.path)),
        "overrides": overrides.read_text(encoding="utf-8").splitlines() if overrides.is_file() else [],
        "manifest": run.manifest,
        "checkpoints": sorted(path.name for path in run.checkpoints.glob("*.ckpt")),
        "samples": sorted(path.name for path in run.samples.glob("[!.]*")),
        "has_model": (run.model / "config.json").is_file(),
        "has_patch": (run.path / "code.patch").is_file(),
    }


def main_metrics(values: Mapping[str, float], count: int) -> dict[str, float]:
    """Select the metrics for a table: known ones in the order of `MEASURES`, then others, `train/...` last."""
    order = list(MEASURES)

    def rank(name: str) -> int:
        return order.index(name) if name in MEASURES else len(order) + name.startswith("train/")

    return {name: values[name] for name in sorted(values, key=rank)[:count]}


def _scores(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values that say how good a model is, the likelihood in one unit alone."""
    units = [name for name in _LIKELIHOODS if name in values][1:]
    return {name: value for name, value in values.items() if name not in units and not name.endswith(_NO_SCORES)}


def _duration(attempts: Sequence[Attempt], status: Status, since: str) -> float | None:
    """Return the duration of all attempts; one without an end lasts until now, or until the last status change."""
    if not attempts:
        return None
    open_end = datetime.now(UTC) if status is Status.RUNNING else datetime.fromisoformat(since)
    seconds = 0.0
    for attempt in attempts:
        end = datetime.fromisoformat(attempt.end) if attempt.end else open_end
        seconds += max(0.0, (end - datetime.fromisoformat(attempt.start)).total_seconds())
    return seconds

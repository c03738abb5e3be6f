"""How a run's scores are shown."""

import json
import math
from typing import Any

from aigc.runs import Run
from aigc.runs.console import stdout

WHAT = {
    "val/perplexity": "perplexity per token",
    "val/perplexity_per_character": "perplexity per character",
    "val/bits_per_byte": "bits per byte",
    "val/bits_per_character": "bits per character",
    "val/bleu": "BLEU",
    "val/chrf": "chrF",
    "val/rouge1": "ROUGE-1",
    "val/rouge2": "ROUGE-2",
    "val/rougeL": "ROUGE-L",
    "val/distinct_1": "distinct 1-grams, %",
    "val/distinct_2": "distinct 2-grams, %",
    "val/form_accuracy": "well-formed, %",
}


def print_result(run: Run, as_json: bool = False) -> None:
    """The scores, the time, the throughput, and where things lie."""
    manifest = run.manifest
    if as_json:
        keys = ("run_id", "metrics", "signatures", "result")
        print(json.dumps({"path": str(run.path), **{key: manifest.get(key) for key in keys}}, ensure_ascii=False))
        return
    print_scores(manifest["metrics"])
    result = manifest.get("result") or {}
    rows = [("time", duration(result.get("seconds")))]
    if result.get("per_second"):
        unit = next((name for name in manifest["metrics"] if name.endswith("_per_second")), "train/tokens_per_second")
        rows.append((unit.removeprefix("train/").replace("_", " "), f"{result['per_second']:,.0f}"))
    if result.get("best_step") is not None:
        rows.append(("best step", str(result["best_step"])))
    rows += [("run", str(run.path)), ("model", str(run.model)), ("samples", str(run.samples))]
    _print_rows(rows)


def print_scores(metrics: dict[str, float]) -> None:
    """Measured values with the names a person knows."""
    rows = [(WHAT.get(name, name), number(value)) for name, value in metrics.items() if not name.startswith("train/")]
    _print_rows(rows)


def print_description(run: Run) -> None:
    """What `aigc show` prints."""
    from aigc.runs.table import describe

    told = describe(run)
    manifest = told["manifest"]
    git = manifest["git"].get("working_directory") or {}
    code = f"{(git.get('sha') or '')[:12]}{' with changes (code.patch)' if git.get('dirty') else ''}" or "no git"
    rows = [
        ("run", told["id"]),
        ("status", told["status"] + (f": {told['message']}" if told["message"] else "")),
        ("step", str(told["step"])),
        ("started", str(told["started"])),
        ("time", duration(told["duration"])),
        ("command", " ".join(manifest["command"])),
        ("overrides", " ".join(told["overrides"]) or "none"),
        ("seed", str(manifest["seed"])),
        ("code", code),
        ("data", str(manifest["data_fingerprint"])[:16]),
        ("hardware", f"{manifest['hardware'].get('cpu_model')}, {len(manifest['hardware'].get('gpus') or [])} GPUs"),
        ("packages", ", ".join(f"{n} {v}" for n, v in list(manifest["packages"].items())[:4])),
        ("checkpoints", ", ".join(told["checkpoints"]) or "none"),
        ("model", str(run.model) if told["has_model"] else "none"),
        ("samples", f"{len(told['samples'])} files"),
        ("folder", str(run.path)),
    ]
    _print_rows(rows)
    if manifest["metrics"]:
        print_scores(manifest["metrics"])
    for name, signature in manifest["signatures"].items():
        _print_rows([(f"{name} is", signature)])


def number(value: float) -> str:
    """A score with as many digits as one reads."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """Seconds as `1 h 02 min`, `2 min 05 s` or `9.1 s`."""
    if seconds is None:
        return ""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds >= 60 else f"{seconds:.1f} s"


def _print_rows(rows: list[tuple[str, Any]]) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    stdout().print(table)

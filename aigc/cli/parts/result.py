"""Tables of a run's scores."""

import math
from collections.abc import Sequence
from datetime import datetime

from aigc.launch.clusters.run_state import read_states
from aigc.printing import plural, print_json
from aigc.runs import Run
from aigc.runs.table import MEASURES, describe, main_metrics


def print_result(run: Run, as_json: bool = False) -> None:
    """Print scores, time, throughput and paths."""
    manifest = run.manifest
    if as_json:
        keys = ("run_id", "metrics", "signatures", "result")
        print_json({"path": str(run.path), **{key: manifest.get(key) for key in keys}})
        return
    result = manifest.get("result") or {}
    scores = [(name, value) for name, value, _ in score_rows(manifest["metrics"])]
    rows = [("time", duration(result.get("seconds")))]
    if result.get("per_second"):
        rows.append((f"{result['unit']} per second", f"{result['per_second']:,.0f}"))
    if result.get("best_step") is not None:
        rows.append(("best step", str(result["best_step"])))
    rows += [("run", str(run.path)), ("model", str(run.model))]
    if run.samples.exists():
        rows.append(("samples", str(run.samples)))
    rows += [("profile", str(path)) for path in sorted(run.path.glob("*-profile*.txt"))]  # Lightning's name
    if manifest.get("signatures"):
        rows.append(("signatures", f"aigc show {run.id}"))
    width = max(len(name) for name, *_ in [*scores, *rows])
    print_columns(scores, width)
    print_columns(rows, width)


def score_rows(metrics: dict[str, float], signatures: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    """Return display name, value and signature of each score, in a fixed order.

    Training metrics are omitted.
    """
    recorded = {name: value for name, value in metrics.items() if not name.startswith("train/")}
    made = signatures or {}
    return [(MEASURES.get(n, n), number(v), made.get(n, "")) for n, v in main_metrics(recorded, len(recorded)).items()]


def print_description(run: Run) -> None:
    """Print what `aigc show` prints."""
    described, state = describe(run), read_states([run])[0]
    manifest = described["manifest"]
    git = manifest["git"].get("working_directory") or {}
    code = f"{(git.get('sha') or '')[:12]}{' with changes (code.patch)' if git.get('dirty') else ''}" or "no git"
    rows = [
        ("run", described["id"]),
        ("status", state.status + (f": {state.message}" if state.message else "")),
        ("step", str(described["step"])),
        ("started", _moment(described["started"])),
        ("time", duration(described["duration"])),
        ("command", " ".join(manifest["command"])),
        ("overrides", " ".join(described["overrides"]) or "none"),
        ("seed", str(manifest["seed"])),
        ("code", code),
        ("data", str(manifest["data_fingerprint"])[:16]),
        (
            "hardware",
            f"{manifest['hardware'].get('cpu')}, {plural(len(manifest['hardware'].get('gpus') or []), 'GPU')}",
        ),
        ("threads", str((manifest.get("threads") or {}).get("torch"))),
        ("packages", ", ".join(f"{n} {v}" for n, v in list(manifest["packages"].items())[:4])),
        ("checkpoints", ", ".join(described["checkpoints"]) or "none"),
        ("model", str(run.model) if described["has_model"] else "none"),
        ("samples", plural(len(described["samples"]), "file")),
        ("folder", str(run.path)),
    ]
    if state.job_id:
        rows.insert(2, ("job", state.job_id + (f", {state.job}" if state.job else "")))
    scores = score_rows(manifest["metrics"], manifest["signatures"])
    width = max(len(name) for name, *_ in [*scores, *rows])
    print_columns(rows, width)
    print_columns(scores, width)


def number(value: float) -> str:
    """Format a score with a few digits."""
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 10000 else f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"


def duration(seconds: float | None) -> str:
    """Format seconds as `1 h 02 min`, `2 min 05 s` or `9.1 s`."""
    if seconds is None:
        return ""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds >= 60 else f"{seconds:.1f} s"


def _moment(text: str) -> str:
    """Format a time of the manifest, UTC in ISO 8601, to the second."""
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"


def print_columns(rows: Sequence[Sequence[str]], first: int = 0) -> None:
    """Print rows in aligned columns; lines are not wrapped, so that a path can be copied.

    Args:
        rows: Of equal length.
        first: Smallest width of the first column.
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)][:-1]
    widths[:1] = [max(first, *widths[:1])] if widths else []
    for *cells, last in rows:
        padded = [cell + " " * (width - _width(cell)) for cell, width in zip(cells, widths, strict=True)]
        print("  ".join([*padded, last]).rstrip())


def _width(text: str) -> int:
    """Return how many columns a text takes on a screen: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)

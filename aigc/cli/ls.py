"""`aigc ls`: list the runs."""

import argparse

from aigc.cli.parts.options import VerbParser
from aigc.printing import print_json


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "ls",
        "List the runs, newest first, with status, step and scores; for queued runs, the state of the job.",
        "aigc ls --most 5",
    )
    made.add_argument("--most", type=int, default=20, metavar="N", help="number of runs (20)")
    made.add_argument("--json", action="store_true", help="print JSON, one run per line")
    made.add_argument("--outputs", metavar="FOLDER", help="folder of the runs, as paths.outputs (outputs)")
    return made


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    from pathlib import Path

    from aigc.launch.clusters.run_state import rows as rows_of
    from aigc.runs import list_runs

    root = Path(options.outputs) / "runs" if options.outputs else None
    rows = rows_of(list_runs(root)[: options.most])
    if options.json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        print("no runs yet; `aigc train` starts one")
        return
    from aigc.cli.parts.result import duration, number, print_columns

    shown = [("run", "status", "step", "time", "scores")]
    for row in rows:
        scores = "  ".join(f"{name} {number(value)}" for name, value in row["metrics"].items())
        step = "" if row["step"] is None else str(row["step"])
        shown.append((row["id"], row["status"], step, duration(row["duration"]), scores or row["message"] or ""))
    print_columns(shown)

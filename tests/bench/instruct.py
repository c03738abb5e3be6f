"""Exact match of lm/instruct on held-out questions, by kind and language: `make bench-instruct`."""

import json
import sys
from collections import Counter
from pathlib import Path

from aigc import assets
from aigc.cli.main import main
from aigc.runs import Run

RUN = "bench-instruct"


def kinds() -> dict[str, tuple[str, str]]:
    """Kind and language of each held-out question."""
    lines = assets.resolve("asset:poem_questions_heldout.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["instruction"]: (row["kind"], row["language"]) for row in rows}


def report(run: Run) -> None:
    """Print the share of right answers of a run's last evaluation."""
    of = kinds()
    right: Counter[tuple[str, str]] = Counter()
    asked: Counter[tuple[str, str]] = Counter()
    last = max((run.path / "samples").glob("step-*.jsonl"), key=lambda path: path.name)
    for line in last.read_text("utf-8").splitlines():
        row = json.loads(line)
        kind, language = of[row["prompt"]]
        for key in ((kind, language), (kind, "all")):
            asked[key] += 1
            right[key] += row["output"] == row["reference"]
    for kind, language in sorted(asked):
        count = asked[kind, language]
        share = 100 * right[kind, language] / count
        sys.stdout.write(f"{kind:<16} {language:<8} {share:6.1f} % of {count}\n")


if __name__ == "__main__":
    samples = len(kinds())
    code = main(
        ["train", "experiment=lm/instruct", f"run.id={RUN}", f"evaluation.generation.samples={samples}", *sys.argv[1:]]
    )
    if code:
        raise SystemExit(code)
    report(Run(Path("outputs/runs") / RUN))

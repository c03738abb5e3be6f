"""`aigc reproduce RUN`: train again and compare the numbers."""

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

from aigc.cli.parts.options import VerbParser, add_trust, use_trusted
from aigc.printing import plural, print_json

if TYPE_CHECKING:
    from aigc.launch.reproduce import Reproduction

_SHOWN = 8


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "reproduce",
        "Report what has changed since a run was made (code, packages, data, hardware, threads ...), train its frozen\n"
        "config again in a new run folder, and compare all logged values and the weights bit for bit.\n"
        "Exit code 0: identical; 1: different, with the first value that differs and the likely cause.",
        "aigc reproduce latest --steps 100",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    made.add_argument("--steps", type=int, metavar="N", help="train only the first N steps, with the same schedule")
    made.add_argument("--json", action="store_true", help="print JSON")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> int:
    """Reproduce, and print the result."""
    from aigc.errors import InputError
    from aigc.launch.reproduce import reproduce
    from aigc.runs import Run
    from aigc.runs.console import show_messages
    from aigc.runs.status import read_status

    use_trusted(options.trust)
    show_messages()
    made: list[Run] = []

    def on_start(new: Run) -> None:
        made.append(new)
        options.log = new.log
        show_messages()  # again, as importing Lightning has changed its loggers

    try:
        found = reproduce(Run.open(options.run), options.steps, ["aigc", *sys.argv[1:]], on_start)
    except InputError:
        if made and not read_status(made[0].path).step:  # as in `aigc train`: nothing was trained, so nothing is kept
            options.log = None
            shutil.rmtree(made[0].path)
        raise
    if options.json:
        print_json(as_dict(found))
    else:
        print(text(found))
    return 0 if found.identical else 1


def text(found: "Reproduction") -> str:
    """Return the result in one to three lines."""
    metrics, weights = found.metrics, found.weights
    size = f"{plural(metrics.steps, 'step')}, {plural(metrics.metrics, 'metric')}"
    if found.identical:
        kept = f", weights {weights.digest[:_SHOWN]}" if weights else ""
        return f"identical, {size} ({plural(metrics.values, 'value')}){kept}\n{found.new.path}"
    lines = []
    if metrics.first:
        lines.append(
            f"different {metrics.first}; {len(metrics.differences)} of {plural(metrics.values, 'value')} differ"
        )
    elif weights and not weights.identical:
        name = weights.differing[0]
        old, new = ((digest or "none")[:_SHOWN] for digest in weights.files[name])
        lines.append(
            f"different weights: {name} was {old}, is {new}; all {plural(metrics.values, 'value')} of {size} are "
            "the same"
        )
    if found.diverged:
        lines.append(f"different end: {found.diverged}")
    return "\n".join([*lines, str(found.cause), str(found.new.path)])


def as_dict(found: "Reproduction") -> dict[str, object]:
    """Return the result for a script."""
    metrics, weights = found.metrics, found.weights
    return {
        "run_id": found.run.id,
        "reproduction": found.new.id,
        "path": str(found.new.path),
        "identical": found.identical,
        "steps": metrics.steps,
        "metrics": metrics.metrics,
        "values": metrics.values,
        "differing_values": len(metrics.differences),
        "first_difference": metrics.first.as_dict() if metrics.first else None,
        "weights": {"identical": weights.identical, "sha256": weights.digest} if weights else None,
        "diverged": found.diverged,
        "drift": [vars(each) for each in found.drifts],
        "likely_cause": found.cause,
    }

"""`aigc cancel RUN`: stop a run that is queued or running."""

import argparse

from aigc.cli.parts.options import VerbParser


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "cancel",
        "Stop a run that is queued or running, on a cluster or on this machine. A running one saves first.\n"
        "It does not continue by itself: use `aigc resume RUN` or `aigc submit --resume RUN`.",
        "aigc cancel latest",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    return made


def run(options: argparse.Namespace) -> None:
    """Cancel the run and print its new status."""
    from aigc.launch.clusters.cancel import cancel
    from aigc.runs import Run
    from aigc.runs.console import show_messages

    show_messages()
    one = Run.open(options.run)
    record = cancel(one)
    print(f"{one.id}  {record.status}" + (f": {record.message}" if record.message else ""))

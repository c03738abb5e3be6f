"""`aigc cancel RUN`: end a run that waits or works."""

import argparse

from aigc.cli.parts.options import VerbParser


def parser() -> argparse.ArgumentParser:
    """The verb's arguments."""
    made = VerbParser(
        "cancel",
        "End a run that waits in a queue or works, on a cluster or here. One that works saves first; neither goes on\n"
        "by itself. `aigc resume RUN` or `aigc submit --resume RUN` goes on with it.",
        "aigc cancel latest",
    )
    made.add_argument("run", metavar="RUN", help="run id, the beginning of one, a path, or latest")
    return made


def run(options: argparse.Namespace) -> None:
    """Cancel it, and say what it is now."""
    from aigc.launch.clusters.cancel import cancel
    from aigc.runs import Run
    from aigc.runs.console import show_messages

    show_messages()
    one = Run.open(options.run)
    record = cancel(one)
    print(f"{one.id}  {record.status}" + (f": {record.message}" if record.message else ""))

"""`aigc show RUN`: describe one run."""

import argparse

from aigc.cli.parts.options import VerbParser
from aigc.printing import print_json, print_yaml


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "show", "Show one run: status, scores and their signatures, attempts, code, data, files.", "aigc show latest"
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    made.add_argument("--config", action="store_true", help="print the frozen config instead")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> None:
    """Print the description."""
    from aigc.launch.clusters.run_state import describe_with_job
    from aigc.runs import Run

    one = Run.open(options.run)
    if options.config:
        print_yaml((one.path / "config.yaml").read_text(encoding="utf-8"))
    elif options.json:
        print_json(describe_with_job(one), indent=2)
    else:
        from aigc.cli.parts.result import print_description

        print_description(one)

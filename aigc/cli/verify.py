"""`aigc verify RUN`: are the files still those that were written?"""

import argparse
import json

from aigc.cli.parts.options import VerbParser


def parser() -> argparse.ArgumentParser:
    """The verb's arguments."""
    made = VerbParser(
        "verify",
        "Hash a run's config, model and checkpoints again and compare with what was noted when they were written.\n"
        "Nothing is loaded or trained. Exit code 0: all as written; 1: something is changed or missing.",
        "aigc verify latest",
    )
    made.add_argument("run", metavar="RUN", help="run id, the beginning of one, a path, or latest")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> int:
    """Print what is wrong, or that nothing is."""
    from aigc.runs import Run
    from aigc.runs.verify import verify

    one = Run.open(options.run)
    findings = verify(one)
    wrong = [finding for finding in findings if finding.problem]
    if options.json:
        rows = [vars(finding) for finding in findings]
        print(json.dumps({"run_id": one.id, "unchanged": not wrong, "files": rows}, ensure_ascii=False))
    else:
        for finding in wrong:
            digests = (
                f", was {finding.expected[:8]}, is {finding.found[:8]}" if finding.expected and finding.found else ""
            )
            print(f"{finding.file}: {finding.problem}{digests}")
        print(f"{len(findings) - len(wrong)} of {len(findings)} files are as they were written")
    return 1 if wrong else 0

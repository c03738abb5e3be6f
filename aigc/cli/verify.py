"""`aigc verify RUN`: check the files of a run against their hashes."""

import argparse

from aigc.cli.parts.options import VerbParser
from aigc.printing import plural, print_json


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "verify",
        "Hash a run's config, model and checkpoints again and compare with those recorded when they were written.\n"
        "Nothing is loaded or trained. Exit code 0: all unchanged; 1: a file is changed or missing.",
        "aigc verify latest",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> int:
    """Print changed and missing files, and how many are unchanged."""
    from aigc.runs import Run
    from aigc.runs.verify import verify

    one = Run.open(options.run)
    findings = verify(one)
    wrong = [finding for finding in findings if finding.problem]
    if options.json:
        rows = [vars(finding) for finding in findings]
        print_json({"run_id": one.id, "unchanged": not wrong, "files": rows})
    else:
        for finding in wrong:
            digests = (
                f", was {finding.expected[:8]}, is {finding.found[:8]}" if finding.expected and finding.found else ""
            )
            print(f"{finding.file}: {finding.problem}{digests}")
        print(f"{len(findings) - len(wrong)} of {plural(len(findings), 'file')} are unchanged")
    return 1 if wrong else 0

"""The line that says at once what a verb is about to do, before torch is imported."""

import sys


def print_first_line(what: str) -> None:
    """Print a line on stderr; the import of torch that follows takes seconds."""
    if sys.stderr is not None:  # closed; print would take stdout in its place
        print(f"aigc: {what}; loading PyTorch ...", file=sys.stderr, flush=True)

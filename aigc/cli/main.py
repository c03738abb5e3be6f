"""`aigc VERB ...`: find the verb, print errors as one or two lines, return the exit code."""

import argparse
import atexit
import errno
import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from aigc import __version__
from aigc.errors import AigcError, exit_code
from aigc.launch.spinning import bound_spinning
from aigc.printing import escape_unprintable, shortened

VERBS = {
    "train": "start a run",
    "sweep": "run many trials of an experiment, and compare them",
    "submit": "queue a run or a sweep on a cluster",
    "cancel": "stop a run that is queued or running",
    "resume": "continue a run where it stopped",
    "eval": "measure a run's model, on other data if asked",
    "generate": "text or images from a run's model",
    "chat": "talk with a run's language model",
    "export": "write a run's model for other tools, and compare",
    "score": "measure texts in plain files, compare systems",
    "score-images": "measure images in files: FID, KID and others",
    "validate": "check a config without torch",
    "data": "show what a model will see of the data",
    "help": "all keys of a section, a node or a class",
    "ls": "the runs, newest first",
    "show": "describe one run",
    "verify": "check the files of a run against their hashes",
    "reproduce": "train a run again and compare every number",
}

_READ_ONLY = ("validate", "help", "ls", "show", "verify", "score", "chat")
"""Verbs that leave nothing half done: a signal acts at once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong config or usage, 3 diverged, 4 out of memory, 75 preempted, 130
        interrupted.
    """
    escape_unprintable()
    atexit.register(gc.freeze)  # else Python looks through all objects at the end: a third of a short command's time
    parser = _parser()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments:
        parser.print_help()
        return 2
    verb = arguments[0]
    if verb in VERBS:
        bound_spinning()
        return _run(verb, arguments[1:])
    if not verb.startswith("-"):
        from aigc.config.problems import suggest  # after --help, which does not need it

        what = f"no verb {shortened(repr(verb), 60)}; {suggest(verb, VERBS, most=len(VERBS))}"
        print(f"aigc: {what} (`aigc --help` describes them)", file=sys.stderr)
        return 2
    parser.parse_args(arguments)
    return 2


def _parser() -> argparse.ArgumentParser:
    verbs = "\n".join(f"  {verb:<12} {what}" for verb, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="aigc",
        usage="aigc VERB [arguments]",
        description="Train generative models: one YAML describes an experiment, one command runs it.",
        epilog=f"verbs:\n{verbs}\n\n"
        "`aigc VERB --help` has the details. A RUN is a run id, a unique prefix, a path, or `latest`.\n"
        "example: aigc train experiment=lm/tang_quatrains trainer.max_steps=100",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"aigc {__version__}")
    parser.add_argument("verb", choices=list(VERBS), metavar="VERB", help=argparse.SUPPRESS)
    return parser


def _run(verb: str, arguments: list[str]) -> int:
    if str(Path.cwd()) not in sys.path:  # for packages in the working directory; last, so that they shadow nothing
        sys.path.append(str(Path.cwd()))
    module = importlib.import_module(f"aigc.cli.{verb.replace('-', '_')}")
    try:
        options = module.parser().parse_intermixed_args(arguments)
    except AigcError as error:  # --help with a wrong config
        print(f"aigc {verb}: {error}", file=sys.stderr)
        return exit_code(error)
    from aigc.runs import stop  # after --help, which does not need it

    try:
        with nullcontext() if verb in _READ_ONLY else stop.listening():
            return int(module.run(options) or 0)
    except BrokenPipeError:
        # The reader has closed the pipe; without this, Python reports it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if options.debug:
            traceback.print_exc()
        print(f"aigc {verb}: {_message(error, options)}", file=sys.stderr)
        return exit_code(error)


def _message(error: BaseException, options: argparse.Namespace) -> str:
    if isinstance(error, AigcError):
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return f"{shortened(repr(str(error.filename)), 60)} is too long for the name of a file"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    log = getattr(options, "log", None)
    where = f"the traceback is in {log}" if log else "--debug shows the traceback"
    return f"{type(error).__name__}: {shortened(str(error), 2000)}; {where}"


if __name__ == "__main__":
    sys.exit(main())

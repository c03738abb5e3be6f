"""`aigc resume RUN`: continue a run where it stopped."""

import argparse

from aigc.cli.parts.first_line import print_first_line
from aigc.cli.parts.options import VerbParser, add_overrides, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "resume",
        "Resume a run from its newest undamaged checkpoint, in the same folder. The numbers equal those of an\n"
        "uninterrupted run, bit for bit. Changed data, batch size or number of ranks is an error, unless\n"
        "resume.allow=[batch_size] allows it. A finished run takes more steps with trainer.max_steps=N; its model and\n"
        "scores stay until it has finished again.",
        "aigc resume latest data.num_workers=2\n  aigc resume latest trainer.max_steps=1000",
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, or latest")
    add_overrides(made, "changes from now on: data.*, trainer.*, callbacks.*, evaluation.*, logger.*, resume.*")
    made.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    return made


def run(options: argparse.Namespace) -> None:
    """Resume, and print the result."""
    from aigc.config import check
    from aigc.errors import InputError
    from aigc.launch.attempt import attempt_config
    from aigc.launch.length import described_length, is_longer, what_extends
    from aigc.runs import Run
    from aigc.runs.console import log, show_messages
    from aigc.runs.status import Status

    use_trusted(options.trust)
    one = Run.open(options.run)
    cfg = attempt_config(one, options.overrides)
    check(cfg)
    is_over = one.status is Status.FINISHED and not is_longer(one, attempt_config(one), cfg)
    if is_over and options.overrides:
        raise InputError(
            f"{one.id} is finished: there is nothing to resume, so {options.overrides[0]} has no effect; "
            f"{what_extends(one, attempt_config(one))} trains it further"
        )
    if is_over:
        show_messages()
        log.info("%s is finished: there is nothing to resume", one.id)
    else:
        print_first_line(f"resuming {one.id}, {described_length(cfg)}")

        from aigc.launch.prepared_run import PreparedRun
        from aigc.launch.run_local import run_local

        show_messages()  # after the import of Lightning, which sets its own log levels
        options.log = one.log
        run_local(PreparedRun(one), options.overrides)

    from aigc.cli.parts.result import print_result

    print_result(one, options.json)

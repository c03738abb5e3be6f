"""`aigc train`: start a run."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from aigc.cli.parts.first_line import print_first_line
from aigc.cli.parts.options import ConfigParser, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = ConfigParser(
        "train",
        "Start a run: compose and check the config, freeze it into a run folder, train, evaluate, save the model.\n"
        "Without overrides it trains the default experiment. Ctrl-C stops after the current step and saves a\n"
        "checkpoint.",
        "aigc train experiment=lm/tang_quatrains trainer.max_steps=100 seed=1",
    )
    made.add_argument(
        "-m", "--sweep", action="store_true", help="run a sweep over keys with several values, as `aigc sweep`"
    )
    made.add_argument("--json", action="store_true", help="print the result as JSON instead of a table")
    return made


def run(options: argparse.Namespace) -> int:
    """Train, and print the result."""
    from aigc.cli.sweep import run_sweep
    from aigc.config import check, compose
    from aigc.config.early import check_early
    from aigc.config.origins import origins_of
    from aigc.config.overrides import SeveralValues
    from aigc.launch.clusters.submit import check_runs_here
    from aigc.launch.devices import check_cores
    from aigc.launch.length import described_length, is_longer
    from aigc.launch.start import check_place, runs_root

    use_trusted(options.trust)
    if options.sweep:
        return run_sweep(options.overrides, options)
    try:
        cfg = compose(options.overrides)
    except SeveralValues:
        return run_sweep(options.overrides, options)
    check(cfg)  # this and what follows needs no torch, whose import takes seconds
    check_runs_here(cfg)
    check_cores(cfg)
    check_early(cfg)
    check_place(cfg)
    print_first_line(f"{cfg.experiment}, {described_length(cfg)}")

    from aigc.cli.parts.result import print_result
    from aigc.errors import InputError, RunInUse
    from aigc.launch.attempt import attempt_config
    from aigc.launch.run_local import run_local
    from aigc.launch.start import carried_over, start_or_resume
    from aigc.runs.console import log, show_messages
    from aigc.runs.status import Status

    show_messages()
    for note in origins_of(cfg).notes:
        log.info("%s", note)
    root = runs_root(cfg)
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    prepared = start_or_resume(cfg, options.overrides, ["aigc", *sys.argv[1:]])
    one = prepared.run
    more = [] if prepared.is_new else carried_over(one, cfg, options.overrides)
    if not prepared.is_new:
        check(attempt_config(one, more))
    if one.status is Status.FINISHED and not is_longer(one, attempt_config(one), attempt_config(one, more)):
        log.info("%s is finished: there is nothing to do", one.id)
    else:
        options.log = one.log
        try:
            run_local(prepared, more)
        except InputError as error:
            # A wrong model or schedule is found only when it is built; a run without a step holds nothing to keep.
            held = one.checkpoints.exists() or not one.metrics().empty
            if prepared.is_new and not held and not isinstance(error, RunInUse):
                options.log = None
                shutil.rmtree(one.path)
                _remove_empty(missing)
            raise
    print_result(one, options.json)
    return 0


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that are empty, the innermost first."""
    for folder in folders:
        with suppress(OSError):  # another run has begun in it
            folder.rmdir()

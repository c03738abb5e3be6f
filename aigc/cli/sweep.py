"""`aigc sweep`: run many trials of an experiment, and compare them."""

import argparse
import re
from pathlib import Path

from aigc.cli.parts.options import ConfigParser, fields_help, use_trusted
from aigc.config.problems import suggest
from aigc.errors import AigcError, InputError
from aigc.printing import plural

READS = ("status", "table", "best")


class _Parser(ConfigParser):
    def format_help(self) -> str:
        """Return the help with the settings of a sweep."""
        return super().format_help() + "\n" + fields_help("aigc.config.schema.Sweep", "settings:", "sweep.") + "\n"


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = _Parser(
        "sweep",
        "Run every combination of the values of some keys. The same command again continues the sweep: finished\n"
        "trials are skipped, killed and preempted ones resume from their checkpoints, failed ones are listed.\n"
        "\n"
        "  aigc sweep status SWEEP    the status of each trial\n"
        "  aigc sweep table SWEEP     mean, standard deviation and 95 % interval over seeds\n"
        "  aigc sweep best SWEEP      the best trial as an experiment: put it into conf/experiment/\n"
        "\n"
        "A SWEEP is a sweep id, a unique prefix, a path, or `latest`.",
        "aigc sweep seed=0,1,2 optimizer.lr=1e-3,3e-4 debug=fast",
    )
    made.add_argument("--dry-run", action="store_true", help="list the trials and their status")
    made.add_argument("--retry-failed", action="store_true", help="run failed trials again, from their checkpoints")
    made.add_argument(
        "--max-failures",
        type=_count,
        metavar="K",
        help="start no more once more than K have failed under this command; earlier failures do not count",
    )
    made.add_argument("--fail-fast", action="store_true", help="stop at the first failure, running trials as well")
    made.add_argument(
        "--metric", metavar="NAME", help="for table and best: the metric (the one that chooses checkpoints)"
    )
    made.add_argument(
        "--direction", choices=["min", "max"], help="for table and best: which values of --metric are better"
    )
    made.add_argument("--outputs", metavar="FOLDER", help="for status, table and best: as paths.outputs (outputs)")
    styles = made.add_mutually_exclusive_group()
    for name, what in (("json", "JSON"), ("csv", "CSV"), ("md", "a Markdown table")):
        styles.add_argument(f"--{name}", action="store_true", help=f"print {what}")
    return made


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of at least 0")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run the trials, or show their results."""
    use_trusted(options.trust)
    words = options.overrides
    if words and words[0] in READS:
        return _read(words[0], words[1:], options)
    if words and re.fullmatch(r"\w+", words[0]):
        raise InputError(f"aigc sweep {words[0]}: {suggest(words[0], READS)}, or key=value with several values")
    return run_sweep(options.overrides, options)


def run_sweep(overrides: list[str], options: argparse.Namespace) -> int:
    """Run or list the trials of a sweep; `aigc train` with several values does the same."""
    from aigc.launch.sweeps.continued import continued_plan
    from aigc.runs.console import show_messages

    show_messages()
    if getattr(options, "dry_run", False):
        made = continued_plan(overrides)
        from aigc.cli.parts.sweep_views import show_plan

        show_plan(made, options.json)
        return 0
    from aigc.launch.clusters.submit import check_runs_here
    from aigc.launch.sweeps.process import warm_up
    from aigc.launch.sweeps.trial_devices import TrialDevices

    warm_up()
    made = continued_plan(overrides)
    check_runs_here(made.cfg)
    if made.cfg.trainer.nodes > 1:
        raise InputError(f"trainer.nodes={made.cfg.trainer.nodes}: a sweep runs its trials on this machine")
    devices = TrialDevices(made.cfg)
    for cfg in [trial.cfg for trial in made.trials] or [made.cfg]:  # before a folder is made
        devices.check(cfg)
    retry_failed = getattr(options, "retry_failed", False)
    if made.axes and retry_failed:
        raise InputError("--retry-failed: Optuna does not ask for a failed trial again; raise sweep.trials")
    show_messages()
    from aigc.cli.parts.sweep_views import Screen, show_tally
    from aigc.launch.start import check_writable
    from aigc.launch.sweeps.driver import Driver
    from aigc.launch.sweeps.folder import SweepFolder
    from aigc.launch.sweeps.trials import sweeps_root

    check_writable(sweeps_root(made.cfg))
    if not made.axes:  # a search first checks that its space is that of the folder
        SweepFolder(made.folder).write(made)
    most = getattr(options, "max_failures", None)
    most = made.cfg.sweep.max_failures if most is None else most
    with Screen(made) as screen:
        fail_fast = getattr(options, "fail_fast", False)
        if made.axes:
            from aigc.launch.sweeps.search import SearchDriver

            driver: Driver = SearchDriver(made, most, fail_fast, screen.update)
        else:
            driver = Driver(made, retry_failed, most, fail_fast, screen.update)
        tally = driver.run()
    show_tally(made, tally, options.json)
    if tally.all_failed or tally.left:
        again = "Optuna asks for others when sweep.trials is raised"
        if not made.axes:
            again = "the same command with --retry-failed runs failed ones again"
        failed = f"{plural(tally.all_failed, 'trial')} {'has' if tally.all_failed == 1 else 'have'} failed"
        not_run = f"{tally.left} {'was' if tally.left == 1 else 'were'} not run"
        raise AigcError(f"{failed}, {not_run}; `aigc sweep status {made.id}`; {again}")
    return 0


def _read(what: str, names: list[str], options: argparse.Namespace) -> int:
    from aigc.cli.parts import sweep_views
    from aigc.launch.sweeps.folder import SweepFolder
    from aigc.launch.sweeps.table import best_experiment
    from aigc.printing import print_yaml

    if len(names) != 1:
        raise InputError(f"aigc sweep {what} SWEEP: name one sweep, by its id, a unique prefix, a path, or latest")
    root = Path(options.outputs) / "sweeps" if options.outputs else None
    folder = SweepFolder.open(names[0], root)
    if what == "status":
        sweep_views.show_status(folder, options.json)
    elif what == "best":
        print_yaml(best_experiment(folder, options.metric, options.direction))
    else:
        style = next((name for name in ("json", "csv", "md") if getattr(options, name)), "text")
        sweep_views.show_table(folder, options.metric, options.direction, style)
    return 0

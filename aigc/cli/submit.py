"""`aigc submit`: queue a run on a cluster."""

import argparse

from aigc.cli.parts.options import ConfigParser, fields_help, use_trusted
from aigc.printing import plural, print_json


class _Parser(ConfigParser):
    def format_help(self) -> str:
        """Return the help with the settings of a job."""
        from aigc.launch.clusters.kinds import class_name, default_kind, kinds

        target = class_name(kinds()[default_kind()])
        return super().format_help() + "\n" + fields_help(target, "settings of a job:", "cluster.") + "\n"


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = _Parser(
        "submit",
        "Submit a run to a cluster and return at once. Config and code are frozen, so later edits do not affect it.\n"
        "The batch script is job.sh in the run folder. A run that is preempted or reaches the time limit saves and\n"
        "returns to the queue; `aigc ls` shows the queue, `aigc cancel RUN` cancels a run.",
        "aigc submit experiment=lm/tang_quatrains cluster.gpus=2 cluster.time=02:00:00 cluster.partition=gpu",
    )
    made.add_argument("--resume", metavar="RUN", help="submit this run again, to resume from its newest checkpoint")
    made.add_argument("--dry-run", action="store_true", help="print the batch script and write nothing")
    made.add_argument("--json", action="store_true", help="print run, job and folder as JSON")
    return made


def run(options: argparse.Namespace) -> None:
    """Submit, and print the run id and the job id."""
    from aigc.config.overrides import SeveralValues
    from aigc.errors import InputError
    from aigc.launch.clusters.submit import preview, resubmit, submit
    from aigc.runs import Run
    from aigc.runs.console import show_messages

    use_trusted(options.trust)
    show_messages()
    if options.resume and options.dry_run:
        raise InputError("--dry-run prints the script of a new run; that of a submitted run is job.sh in its folder")
    if options.resume:
        one = Run.open(options.resume)
        job = resubmit(one, options.overrides)
    elif any(text.startswith("sweep=") for text in options.overrides):
        _submit_sweep(options)
        return
    else:
        try:
            cfg = _config(options.overrides)
        except SeveralValues:
            _submit_sweep(options)
            return
        if options.dry_run:
            print(preview(cfg), end="")
            return
        one, job = submit(cfg, options.overrides)
    if options.json:
        print_json({"run_id": one.id, "job": job, "path": str(one.path)})
    else:
        print(f"{one.id}  job {job}")


def _submit_sweep(options: argparse.Namespace) -> None:
    """Submit a sweep as a job array."""
    from aigc.launch.clusters.submit import cluster_of
    from aigc.launch.sweeps.array import array_script, submit_sweep
    from aigc.launch.sweeps.continued import continued_plan

    made = continued_plan(_on_cluster(options.overrides))
    for trial in made.trials:
        cluster_of(trial.cfg)
    cluster = cluster_of(made.cfg).for_array_task()
    if options.dry_run:
        print(array_script(made, cluster), end="")
        return
    job = submit_sweep(made, cluster)
    if options.json:
        record = {"sweep": made.id, "job": job, "trials": len(made.trials), "path": str(made.folder)}
        print_json(record)
    else:
        print(f"{made.id}  job {job}  {plural(len(made.trials), 'trial')}")


def _on_cluster(overrides: list[str]) -> list[str]:
    """Return the overrides, with the default cluster unless one is named."""
    from aigc.launch.clusters.kinds import default_kind

    named = any(text.startswith("cluster=") for text in overrides)
    return overrides if named else [f"cluster={default_kind()}", *overrides]


def _config(overrides: list[str]):  # type: ignore[no-untyped-def]
    """Return a checked config with a cluster that has a queue."""
    from aigc.config import check, compose
    from aigc.launch.clusters.submit import check_cluster

    cfg = compose(_on_cluster(overrides))
    check_cluster(cfg)
    check(cfg)
    return cfg

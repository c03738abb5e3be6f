"""Views of a sweep: its plan, its running trials, its results."""

import csv
import io
import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.result import duration, number, print_columns
from aigc.launch.sweeps.folder import SweepFolder
from aigc.launch.sweeps.row_labels import row_labels, shown
from aigc.launch.sweeps.table import Table, make_table
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.printing import plural, print_json
from aigc.runs.console import log, stderr
from aigc.runs.status import Status

if TYPE_CHECKING:
    from aigc.launch.sweeps.driver import Driver
    from aigc.launch.sweeps.tally import Tally


def show_plan(plan: SweepPlan, as_json: bool) -> None:
    """Print every trial with its overrides and status."""
    folder = SweepFolder(plan.folder)
    if plan.axes:
        if as_json:
            print_json({"sweep": plan.id, "trials": plan.total, "keys": plan.keys})
        else:
            print(f"{plan.id}: Optuna chooses {_trials(plan.total)} from {', '.join(plan.keys)}")
        if (plan.folder / "trials.jsonl").exists():
            show_status(folder, as_json)
        return
    rows = []
    for trial in plan.trials:
        started = folder.run(plan.run_id(trial)) is not None
        rows.append((trial, str(folder.status(plan.run_id(trial)).status) if started else "new"))
    if as_json:
        for trial, status in rows:
            record = {"trial": trial.number, "run": plan.run_id(trial), "overrides": trial.overrides, "status": status}
            print_json(record | {"same": trial.same})
        return
    shown = [("trial", "status", "overrides", "run")]
    shown += [(str(trial.number), status, _words(trial), plan.run_id(trial)) for trial, status in rows]
    print_columns(shown)
    same = sum(len(trial.same) for trial in plan.trials)
    for trial in plan.trials:
        if trial.same:
            several = len(trial.same) > 1
            what = f"trials {', '.join(map(str, trial.same))} are" if several else f"trial {trial.same[0]} is"
            print(f"{what} the same as trial {trial.number}")
    done = sum(status == Status.FINISHED for _, status in rows)
    print(f"{plan.id}: {_trials(len(plan.trials))}, {same} duplicates omitted, {done} already finished")


class Screen:
    """A live table of running trials; without a terminal, one line for each trial that has ended.

    Args:
        plan: The sweep.
    """

    def __init__(self, plan: SweepPlan) -> None:
        self.plan = plan
        self._folder = SweepFolder(plan.folder)
        self._live: Any = None
        self._reported: set[int] = set()
        self._shown_at = 0.0

    def __enter__(self) -> "Screen":
        """Start the table."""
        log.info("%s: %s in %s", self.plan.id, _trials(self.plan.total), self.plan.folder)
        if stderr().is_terminal:
            from rich.live import Live

            self._live = Live(console=stderr(), refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the table."""
        if self._live is not None:
            self._live.stop()

    def update(self, driver: "Driver") -> None:
        """Show what has changed."""
        tally = driver.tally
        total = self.plan.total
        ended = tally.skipped + len(tally.finished) + tally.all_failed + tally.pruned
        for trial in tally.finished:
            if trial.number not in self._reported:
                self._reported.add(trial.number)
                log.info("[%d/%d] trial %d finished: %s", ended, total, trial.number, _words(trial))
        for trial_number, why in (tally.failed_elsewhere | tally.failed).items():
            if trial_number not in self._reported:
                self._reported.add(trial_number)
                log.warning("[%d/%d] trial %d %s", ended, total, trial_number, why)
        if self._live is not None and time.monotonic() - self._shown_at > 0.5:
            self._shown_at = time.monotonic()
            self._live.update(self._image(driver, ended, total))

    def _image(self, driver: "Driver", ended: int, total: int) -> Any:
        from rich.table import Table as Grid

        grid = Grid(box=None, pad_edge=False)
        for name in ("trial", "step", "doing", "for", "overrides"):
            grid.add_column(name)
        for one in driver.running:
            record = self._folder.status(self.plan.run_id(one.trial))
            since = duration(time.monotonic() - one.since)
            step = "" if record.step is None else str(record.step)
            grid.add_row(str(one.trial.number), step, record.activity or "starting", since, _words(one.trial))
        tally = driver.tally
        grid.caption = f"{ended} of {total} ended, {tally.all_failed} failed, {len(driver.running)} running"
        return grid


def show_tally(plan: SweepPlan, tally: "Tally", as_json: bool) -> None:
    """Print the counts of a driver."""
    counts = {
        "finished": len(tally.finished) + tally.skipped,
        "now": len(tally.finished),
        "failed": tally.all_failed,
        "failed_now": len(tally.failed),
        "pruned": tally.pruned,
        "left": tally.left,
    }
    if as_json:
        print_json({"sweep": plan.id, "path": str(plan.folder), **counts})
        return
    print_columns(
        [
            ("sweep", plan.id),
            ("finished", f"{counts['finished']} of {plan.total} ({counts['now']} now)"),
            (
                "failed",
                f"{counts['failed']} ({counts['failed_now']} now)" if tally.failed_elsewhere else str(counts["failed"]),
            ),
            *([("pruned", str(counts["pruned"]))] if plan.axes else []),
            ("table", f"aigc sweep table {plan.id}"),
        ]
    )


def show_status(folder: SweepFolder, as_json: bool) -> None:
    """Print the status of each trial."""
    rows: list[tuple[str, ...]] = []
    counts: dict[str, int] = {}
    labels = row_labels(folder, with_seed=True)
    label = dict(zip(labels, shown([one.shown for one in labels.values()]), strict=True))
    for trial in folder.trials():
        record = folder.status(trial.run)
        status = "pruned" if folder.is_pruned(trial.run) else str(record.status)
        counts[status] = counts.get(status, 0) + 1
        row = {"trial": trial.number, "status": status, "step": record.step, "message": record.message}
        if as_json:
            more = {"overrides": trial.overrides, "differs_in": labels[trial.run].shown, "run": trial.run}
            print_json(row | more)
        step = "" if record.step is None else str(record.step)
        why = "" if status in (Status.FINISHED, "pruned") else record.message or ""
        rows.append((str(trial.number), status, step, label[trial.run], trial.run, why))
    if not as_json:
        print_columns([("trial", "status", "step", "differs in", "run", ""), *rows])
        print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())))


def show_table(folder: SweepFolder, metric: str | None, direction: str | None, style: str) -> None:
    """Print mean, standard deviation and interval of each row, best first."""
    table = make_table(folder, metric, direction)
    if style == "json":
        print_json(_as_json(table))
        return
    pruned = any(row.pruned for row in table.rows)
    header = ["differs in", "n", table.metric, "sd", "±95 %", "failed", *["pruned"] * pruned, "unfinished"]
    rows = [row.overrides for row in table.rows]
    names = [" ".join(row) for row in rows] if style == "csv" else shown(rows)
    lines = [
        [
            name or "(no difference)",
            str(len(row.values)),
            *(_digits(value, style) for value in (row.mean, row.deviation, row.interval)),
            str(row.failed),
            *[str(row.pruned)] * pruned,
            str(row.missing),
        ]
        for name, row in zip(names, table.rows, strict=True)
    ]
    if style == "csv":
        made = io.StringIO()
        csv.writer(made, lineterminator="\n").writerows([header, *lines])
        sys.stdout.write(made.getvalue())
    elif style == "md":
        for line in (header, ["---"] * len(header), *lines):
            print("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |")
    else:
        print_columns([header, *lines])


def _as_json(table: Table) -> dict[str, Any]:
    rows = [
        {
            "overrides": list(row.overrides),
            "n": len(row.values),
            "mean": _finite(row.mean),
            "sd": _finite(row.deviation),
            "ci95": _finite(row.interval),
            "values": row.values,
            "runs": row.runs,
            "failed": row.failed,
            "pruned": row.pruned,
            "unfinished": row.missing,
        }
        for row in table.rows
    ]
    return {"metric": table.metric, "smaller_is_better": table.smaller_is_better, "rows": rows}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(value: float, style: str) -> str:
    if math.isnan(value):
        return ""
    return repr(value) if style == "csv" else number(value)


def _trials(count: int) -> str:
    return plural(count, "trial")


def _words(trial: Trial) -> str:
    return " ".join(trial.overrides)

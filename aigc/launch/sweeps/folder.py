"""The sweep folder: what was typed, and the run of each trial. Results are in the run folders."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aigc.errors import InputError
from aigc.launch.sweeps.trials import SweepPlan, Trial
from aigc.runs import Run
from aigc.runs.files import write_atomic, write_json
from aigc.runs.locate import default_root
from aigc.runs.locks import locked
from aigc.runs.status import Status, StatusRecord, read_status

_FORMAT = 1


@dataclass(frozen=True)
class ListedTrial:
    """A trial as listed in the sweep folder; `fixed` are the overrides that all trials of its command share."""

    number: int
    overrides: list[str]
    identity: str
    run: str
    fixed: list[str] = field(default_factory=list)


class SweepFolder:
    """A sweep on disk.

    Args:
        path: Its folder, `<outputs>/sweeps/<id>`; the runs lie in `<outputs>/runs`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, name: str, root: Path | None = None) -> "SweepFolder":
        """Find a sweep by its id, a unique prefix, a path, or `latest`.

        Raises:
            InputError: There is none of that name, or several.
        """
        if (Path(name) / "sweep.json").is_file():
            return cls(Path(name))
        root = root or default_root().parent / "sweeps"
        ids = sorted(path.parent.name for path in root.glob("*/sweep.json"))
        if name == "latest" and ids:
            return cls(max((root / one for one in ids), key=lambda path: (path / "sweep.json").stat().st_mtime))
        found = [one for one in ids if one == name] or [one for one in ids if one.startswith(name)]
        if len(found) == 1:
            return cls(root / found[0])
        if found:
            raise InputError(f"{name}: several sweeps begin so: {', '.join(found)}")
        there = f"there are {', '.join(ids[:10])}" if ids else f"there is none in {root}; `aigc sweep` makes one"
        raise InputError(f"there is no sweep {name}: {there}")

    @property
    def id(self) -> str:
        """The sweep's id, which is the name of its folder."""
        return self.path.absolute().name

    @property
    def logs(self) -> Path:
        """The folder with the output of the trials' processes."""
        return self.path / "logs"

    def runs(self) -> Path:
        """The folder of the runs."""
        return self.path.absolute().parent.parent / "runs"

    def write(self, plan: SweepPlan, only_new: bool = False) -> None:
        """Write the plan and number its trials; trials of an earlier plan of the same name are kept.

        Args:
            plan: The sweep.
            only_new: Write nothing where all trials are listed, as a later command may have written sweep.json.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with locked(self.path / "trials.lock"):
            self._write(plan, only_new)

    def _write(self, plan: SweepPlan, only_new: bool) -> None:
        known = {trial.identity: trial for trial in self.trials()} if (self.path / "trials.jsonl").exists() else {}
        before = len(known)
        for trial in plan.trials:
            if trial.identity not in known:
                listed = ListedTrial(len(known), trial.overrides, trial.identity, plan.run_id(trial), plan.fixed)
                known[trial.identity] = listed
        for trial in plan.trials:
            trial.number = known[trial.identity].number  # the same numbers on the screen and in the folder
        written = (self.path / "sweep.json").exists()
        if only_new and written and len(known) == before:
            return
        if plan.trials or not known:
            self._list(known.values())
        about = {
            "format": _FORMAT,
            "experiment": plan.experiment,
            "typed": plan.typed,
            "fixed": plan.fixed,
            "keys": plan.keys,
            "monitor": plan.cfg.sweep.monitor,
            "direction": plan.cfg.sweep.direction,
        }
        write_json(self.path / "sweep.json", about)

    def add(self, trial: Trial, run: str, fixed: list[str]) -> None:
        """List a trial that has just been chosen, unless it is listed already."""
        with locked(self.path / "trials.lock"):
            known = list(self.trials())
            if all(one.run != run for one in known):
                known.append(ListedTrial(trial.number, trial.overrides, trial.identity, run, fixed))
                self._list(known)

    def prune(self, run_id: str) -> None:
        """Mark a run as pruned, so that it is not resumed."""
        (self.path / "pruned").mkdir(exist_ok=True)
        (self.path / "pruned" / run_id).touch()

    def is_pruned(self, run_id: str) -> bool:
        """Whether a run was pruned; one that finished before the signal arrived was not."""
        return (self.path / "pruned" / run_id).exists() and self.status(run_id).status is not Status.FINISHED

    def _list(self, trials: Iterable[ListedTrial]) -> None:
        lines = [json.dumps(vars(trial), ensure_ascii=False) + "\n" for trial in trials]
        write_atomic(self.path / "trials.jsonl", "".join(lines))

    def about(self) -> dict[str, Any]:
        """Read sweep.json: experiment, typed, fixed, keys.

        Raises:
            InputError: It is damaged.
        """
        try:
            found: dict[str, Any] = json.loads((self.path / "sweep.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}/sweep.json cannot be read: {error}") from error
        return found

    def trials(self) -> Iterator[ListedTrial]:
        """Yield all trials in order.

        Raises:
            InputError: The list is damaged.
        """
        path = self.path / "trials.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            yield from [ListedTrial(**json.loads(line)) for line in lines]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from error

    def run(self, run_id: str) -> Run | None:
        """Return the run of a trial; None before it has started."""
        path = self.runs() / run_id
        return Run(path) if path.is_dir() else None

    def status(self, run_id: str) -> StatusRecord:
        """Return the status of a trial's run; pending where it has not started."""
        run = self.run(run_id)
        if run is None:
            return StatusRecord(Status.PENDING, since="")
        try:
            return read_status(run.path)
        except InputError as error:
            return StatusRecord(Status.FAILED, since="", message=str(error))

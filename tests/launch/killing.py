"""Kill the same command again and again, and record what each kill has cost."""

import contextlib
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from aigc.runs import Run
from tests.launch.forking import Child
from tests.launch.tiny_runs import finish, reached, run_in, saved, start, wait_in
from tests.waiting import wait_until


@dataclass
class Murdered:
    """Facts about runs that were killed until they finished."""

    runs: list[Run] = field(default_factory=list)
    facts: list[dict[str, object]] = field(default_factory=list)
    """For each kill: status, step reached, step saved, and whether a checkpoint was half-written."""


def come_through(
    place: Path, arguments: list[str], chance: random.Random, seen: Murdered, most: int = 16, **env: str
) -> None:
    """Kill the same command until it finishes, which it may do after some kills."""
    for _ in range(most):
        child = kill_somewhere(place, arguments, chance, env)
        if child.wait() == 0:
            break
        assert child.wait() == -signal.SIGKILL, child.output
        note(place, seen)
    finish(place, arguments, **env)


def kill_somewhere(place: Path, arguments: list[str], chance: random.Random, env: dict[str, str]) -> Child:
    """One attempt, killed anywhere, while it trains, or while it writes a checkpoint slowly."""
    how = chance.choice(["anywhere", "training", "writing", "writing"])
    faults = [["slow_writes", 0.0008], ["slow_disk", 0.002]] if how == "writing" else [["slow_disk", 0.01]]
    child = start(place, arguments, *faults, **env)
    writes, wait = chance.randint(1, 3), chance.random()
    if how == "anywhere":
        wait *= 1.5
    elif how == "training":
        before = logged(place)
        wait_until(lambda: child.ended or logged(place) != before)
    else:
        wait *= 0.35
        written: set[str] = set()
        while len(written) < writes and not child.ended:
            written |= half_written(place)
            time.sleep(0.002)
    end = time.monotonic() + wait
    wait_until(lambda: child.ended or time.monotonic() > end)
    child.kill()
    return child


def logged(place: Path) -> tuple[int, int] | None:
    with contextlib.suppress(FileNotFoundError, AttributeError):
        info = (run_in(place).path / "metrics.jsonl").stat()
        return info.st_mtime_ns, info.st_size
    return None


def half_written(place: Path) -> set[str]:
    """Names of checkpoints that are being written, or were when the process died."""
    return {path.name for path in place.glob("outputs/runs/*/checkpoints/.step-*.ckpt.*.tmp")}


def note(place: Path, seen: Murdered) -> None:
    run = run_in(place)
    facts = {"place": place.name, "half_written": bool(half_written(place))}
    if run is not None:
        pending = not run.manifest["attempts"]  # created, and not trained yet
        facts |= {"status": str(run.status), "pending": pending, "reached": reached(run), "saved": saved(run)}
    seen.facts.append(facts)


def kill_at(place: Path, arguments: list[str], where: str, count: int) -> None:
    """Kill the process at the n-th call of a function, before it does anything."""
    child = wait_in(place, arguments, where, count, for_ever=True)
    assert child.kill() == -signal.SIGKILL, child.output

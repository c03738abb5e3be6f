"""Runs of a second: their configs, and a comparison of two of them."""

import math
import random
import signal
from pathlib import Path
from typing import Any

from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, step_of
from aigc.runs.files import sha256_file
from aigc.runs.metrics_file import read, read_lines
from tests.launch.forking import REPOSITORY, Child, server
from tests.training.resumable import CHARACTERS, differences, final_state
from tests.waiting import wait_until

LANGUAGE_MODEL = [
    "experiment=lm/tang_quatrains",
    "data=text",
    "data.path=corpus.txt",
    "data.sequence_length=16",
    "data.batch_size=4",
    "data.validation_fraction=0.2",
    "model.settings.n_layer=1",
    "model.settings.n_head=2",
    "model.settings.n_embd=16",
    "model.settings.resid_pdrop=0.3",
    "model.settings.attn_pdrop=0.3",
    "optimizer.lr=0.01",
    "evaluation.generation.samples=2",
    "evaluation.generation.prompt_pattern=null",
    "evaluation.generation.sampling.max_new_tokens=4",
]
GAN = [
    "experiment=gan/digits",
    "data.batch_size=8",
    "model.generator.latents=8",
    "model.generator.width=4",
    "model.discriminator.width=4",
    "task.n_critic=2",
    "+task.regularisers.r1._target_=aigc.losses.R1",
    "+task.regularisers.r1.gamma=1",
    "+task.regularisers.r1.every_n_steps=4",
    "evaluation.images=null",
    "callbacks.checkpoints.keep_best=0",
]
EXPERIMENTS = {"language_model": LANGUAGE_MODEL}
"""Tasks of the resume suites; another task is one more line."""

EVERY = 2
"""Steps between saves."""
ALL = [
    f"callbacks.checkpoints.every_n_steps={EVERY}",
    "logger=none",
    "trainer.log_every_n_steps=1",
    "trainer.num_threads=1",
    "run.resume=auto",
]


def command(name: str, steps: int, validate: int, *more: str) -> list[str]:
    """Return the command of a tiny run, the same at each call."""
    last = [f"trainer.max_steps={steps}", f"trainer.validate_every_n_steps={validate}"]
    return ["train", *(EXPERIMENTS | {"gan": GAN})[name], *ALL, *last, *more]


def place_at(folder: Path) -> Path:
    """A working directory with a corpus."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    lines = ["".join(chance.choices(CHARACTERS, k=chance.randint(5, 9))) for _ in range(80)]
    (folder / "corpus.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def start(
    place: Path,
    arguments: list[str],
    *faults: list[Any],
    cache: str = "../cache",
    real: bool = False,
    **env: str,
) -> Child:
    """Start a process; prepared data are shared by the working directories of one folder."""
    own = {"AIGC_OUTPUTS": "outputs", "AIGC_CACHE": cache, "PYTHONPATH": str(REPOSITORY)}  # ranks find what tests trust
    return server().start(arguments, place, faults, real=real, **(own | env))


def finish(place: Path, arguments: list[str], *faults: list[Any], **env: str) -> str:
    """Run a process that must succeed; return its output."""
    child = start(place, arguments, *faults, **env)
    assert child.wait() == 0, child.output
    return child.output


def wait_in(
    place: Path, arguments: list[str], where: str, count: int, *faults: list[Any], for_ever: bool = False
) -> Child:
    """Start a process that waits before the n-th call of a function until it is released."""
    child = start(place, arguments, ["wait_in", where, str(place / "waits"), count, for_ever], *faults)
    wait_until(lambda: (place / "waits").exists() or child.ended)
    assert not child.ended, child.output
    return child


def go(place: Path) -> None:
    """Release it."""
    (place / "waits.go").touch()


def run_in(place: Path) -> Run | None:
    """Return the run of a working directory; None where there is none."""
    root = place / "outputs/runs"
    found = [path for path in root.iterdir() if not path.name.startswith(".")] if root.exists() else []
    assert len(found) <= 1, found
    return Run.open(found[0]) if found else None


def the_run(place: Path) -> Run:
    """Return the run of a working directory."""
    run = run_in(place)
    assert run is not None
    return run


def reached(run: Run) -> int:
    """Return the last step with a row; the row of the last saved step may be only in the checkpoint."""
    return max((row["step"] for row in read(run.path / "metrics.jsonl")), default=0)


def saved(run: Run) -> int:
    """Return the step of the newest undamaged checkpoint."""
    newest = CheckpointFolder(run.checkpoints).newest_whole()
    return step_of(newest) if newest else 0


def numbers(run: Run) -> dict[str, Any]:
    """Return the contents of a run, except times."""
    rows = _without_times(read_lines(run.path / "metrics.jsonl"))
    assert len({row["step"] for row in rows}) == len(rows), "a step has several rows"
    return {
        "weights": sha256_file(run.model / "model.safetensors"),
        "rows": [row for row in rows if len(row) > 2],
        "state": _without_times(final_state(run.path)),
        "samples": {path.name: path.read_text("utf-8") for path in run.samples.glob("*.jsonl")},
        "result": _without_times(run.manifest["metrics"]),
    }


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        timed = {key for key in value if key in ("wall_time", "seconds") or str(key).endswith("_per_second")}
        return {key: _without_times(item) for key, item in value.items() if key not in timed}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def assert_same(one: Run, other: Run, counters: bool = False) -> None:
    """Check that two runs are equal bit for bit.

    Args:
        one: A run.
        other: Another.
        counters: Compare also what Lightning has counted, which decides no number.
    """
    told, expected = numbers(one), numbers(other)
    if not counters:
        del told["state"]["loops"], expected["state"]["loops"]
    found = differences(told, expected)
    assert not found, "\n".join([str(one.path), *found[:20]])


def files(run: Run) -> list[str]:
    """All files of a run."""
    return sorted(str(path.relative_to(run.path)) for path in run.path.rglob("*"))


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

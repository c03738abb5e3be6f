"""Speed and exactness of training language models on one GPU, in at most eight minutes; without a GPU it says so.

Usage: python -m tests.bench.gpu [--budget SECONDS] [--cpu]

Prints tokens per second, model FLOPs utilisation and peak memory for Llamas of 135 million and 1 billion random
weights: packed and compiled, with the attention that `model.attention=auto` chooses, against the Hugging Face Trainer
with the same attention, which pads. Then it checks that losses are those of the CPU, that a resumed run is the same to
the bit, and that no step waits for the device. It ends with code 1 if one of these does not hold. `--cpu` tries the
script itself with tiny networks.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aigc.config.freeze import frozen_yaml
from aigc.launch.ranks.group import Agreement, Ranks
from aigc.launch.train import Training
from aigc.runs import Run
from aigc.runs.compare import compare_metrics
from aigc.runs.console import show_messages
from aigc.runs.heartbeat import Heartbeat
from tests.bench.gpu_speed import SHAPES, TINY, compare, config


def main() -> None:
    """Measure, check and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--budget", type=float, default=480.0, help="seconds after which nothing more is begun")
    parser.add_argument("--cpu", action="store_true", help="try the script with tiny networks")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.cpu:
        print("there is no GPU here: nothing is measured")
        return
    show_messages()
    device = torch.device("cpu" if options.cpu else "cuda")
    name = "CPU" if options.cpu else torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}", flush=True)
    began, failed = time.perf_counter(), []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        parts: list[tuple[str, Callable[[], bool]]] = [
            ("losses of ten steps are those of the CPU at 1e-3", lambda: losses_agree(place, device)),
            ("a resumed run is the same to the bit", lambda: resumes(place, device)),
            *((f"Llama {s.name}", lambda s=s: compare(s, place, device)) for s in (TINY if options.cpu else SHAPES)),
        ]
        for title, part in parts:
            if time.perf_counter() - began > options.budget:
                print(f"{title}: left out, the time is over")
                continue
            print(title, flush=True)
            try:
                holds = part()
            except torch.OutOfMemoryError:
                print("  does not fit into the memory of this GPU")
                continue
            print(f"  {'holds' if holds else 'DOES NOT HOLD'}, {time.perf_counter() - began:.0f} s so far", flush=True)
            failed += [] if holds else [title]
    sys.exit(1 if failed else 0)


def losses_agree(place: Path, device: torch.device) -> bool:
    """Whether ten steps in float32 have the losses that they have on the CPU."""
    exact = ["trainer.precision=32-true", "trainer.max_steps=10", "trainer.log_every_n_steps=1"]
    exact += ["optimizer.lr=1e-2", "scheduler=null"]  # so that the losses fall
    found = [run_losses(config(TINY[0], place, where, *exact)) for where in (device, torch.device("cpu"))]
    largest = max(abs(one - other) for one, other in zip(*found, strict=True))
    print(f"  largest difference {largest:.1e} of losses from {found[1][0]:.3f} to {found[1][-1]:.3f}")
    return len(found[0]) == 10 and largest < 1e-3


def run_losses(cfg: Any) -> list[float]:
    """The losses of a run."""
    return [float(loss) for loss in trained(cfg).metrics()["train/loss"].dropna()]


def resumes(place: Path, device: torch.device) -> bool:
    """Whether a run that stopped at step 10 and went on to step 20 is one that did not stop."""
    typed = ["trainer.max_steps=20", "trainer.log_every_n_steps=1", "callbacks.checkpoints.every_n_steps=5"]
    cfg = config(TINY[0], place, device, *typed, "trainer.precision=bf16-mixed")
    whole, stopped = trained(cfg), trained(cfg, until=10)
    attempt(stopped, cfg)
    weights = [next((run.path / "model").glob("*.safetensors")).read_bytes() for run in (whole, stopped)]
    same = compare_metrics(whole.path / "metrics.jsonl", stopped.path / "metrics.jsonl")
    print(f"  equal weights: {weights[0] == weights[1]}, equal values: {same.identical}")
    return weights[0] == weights[1] and same.identical


def trained(cfg: Any, until: int | None = None) -> Run:
    """A run, to its end or until a step."""
    run = Run.create(Path(cfg.paths.outputs) / "runs", "gpu", frozen_yaml(cfg), [])
    attempt(run, cfg, until)
    return run


def attempt(run: Run, cfg: Any, until: int | None = None) -> None:
    """Train a run in this process, from its newest checkpoint if it has one."""
    with run.edit_manifest() as manifest:
        manifest.begin_attempt(0, ())
    with Heartbeat(run.path) as beat:
        Training(run, cfg, beat, Agreement(Ranks())).train(until)


if __name__ == "__main__":
    main()

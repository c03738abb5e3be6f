"""Tokens per second of a whole `fit` against a plain PyTorch loop over the same packed batches, in one process.

Usage: python tests/bench/training_overhead.py [--steps N] [--rounds N] [override ...]

Both sides start from the same weights, run the same model, precision, optimiser, schedule and clipping, and take
turns, so that a change of the machine's speed meets both. The fit has its callbacks, its loggers and its checkpoint at
the end; validation is left out, as the plain loop has none. Both end with the same weights, to the last bit.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from aigc.callbacks import BetweenSteps, ExactState
from aigc.config import compose
from aigc.launch import components
from aigc.launch.trainer import build_trainer, resolve_precision
from aigc.logger import MetricsFileLogger, TensorBoard
from aigc.runs import Run
from aigc.runs.console import show_messages
from aigc.tasks.language.causal_lm import shifted
from aigc.tasks.language.tokens import token_nll


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    cfg = compose(
        [
            f"trainer.max_steps={options.steps}",
            "trainer.validate_every_n_steps=1000000",
            "evaluation=null",
            *options.overrides,
        ]
    )
    show_messages()
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    sides = {"plain loop": plain_loop, "fit": whole_fit}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    ends = {}
    for round_number in range(options.rounds + 1):
        for name, side in sides.items():
            seconds, tokens, ends[name] = side(cfg, data)
            if round_number:  # the first round warms up
                rates[name].append(tokens / seconds)
                print(f"{name:<12}{tokens / seconds:10,.0f} tokens/s", flush=True)
    same = all(torch.equal(a, b) for a, b in zip(*ends.values(), strict=True))
    ratios = [fit / plain for fit, plain in zip(rates["fit"], rates["plain loop"], strict=True)]
    print(f"fit / plain loop, each round: {' '.join(f'{ratio:.3f}' for ratio in ratios)}")
    print(f"fit / plain loop, median of rounds: {statistics.median(ratios):.3f}")
    print(f"same weights at the end: {same}")


def fresh_task(cfg: Any, data: Any) -> Any:
    """The same weights each time."""
    components.prepare_machine(cfg)
    return components.build_task(cfg, data)


def plain_loop(cfg: Any, data: Any) -> tuple[float, int, list[torch.Tensor]]:
    """What a person would write without a framework."""
    task = fresh_task(cfg, data).train()
    parameters = list(task.parameters())
    made = task._make_optimizer
    embeddings = task.model.get_input_embeddings().weight
    matrices: list[torch.Tensor] = []
    vectors: list[torch.Tensor] = []
    for parameter in parameters:
        if parameter is not embeddings:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    rate = cfg.optimizer.lr
    optimizer = made(
        params=[
            {"params": [embeddings], "lr": rate * task.embedding_lr_ratio},
            {"params": matrices},
            {"params": vectors, "weight_decay": 0.0},
        ]
    )
    clipped = [embeddings, *matrices, *vectors]  # the order decides the last bit of the norm
    schedule = task._make_scheduler(optimizer=optimizer, total_steps=cfg.trainer.max_steps)
    bf16 = resolve_precision(cfg.trainer.precision, cfg.trainer.accelerator) == "bf16-mixed"
    began, tokens, step, epoch = time.perf_counter(), 0, 0, 0
    loader = data.train_dataloader()
    while step < cfg.trainer.max_steps:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = token_nll(*shifted(task(batch), batch["labels"])).sum() * (1 / batch["target_tokens"])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(clipped, cfg.trainer.gradient_clip_val)
            optimizer.step()
            schedule.step()
            tokens += batch["target_tokens"]
            step += 1
            if step == cfg.trainer.max_steps:
                break
        epoch += 1
    return time.perf_counter() - began, tokens, [p.detach().clone() for p in parameters]


def whole_fit(cfg: Any, data: Any) -> tuple[float, int, list[torch.Tensor]]:
    """The framework, with everything that it does beside training."""
    task = fresh_task(cfg, data)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        callbacks = components.build_callbacks(cfg, "callbacks")
        always = [ExactState(), BetweenSteps()]
        trainer = build_trainer(
            cfg, Path(folder), [*callbacks.values(), *always], [MetricsFileLogger(run), TensorBoard(run)]
        )
        began = time.perf_counter()
        trainer.fit(task, train_dataloaders=data.train_dataloader())
        seconds = time.perf_counter() - began
    tokens = callbacks["callbacks.throughput"].total_amount
    return seconds, tokens, [p.detach().clone() for p in task.parameters()]


if __name__ == "__main__":
    main()

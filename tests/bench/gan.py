"""Images per second of a whole GAN `fit` against plain PyTorch and against mimicry's training loop, in one process.

Usage: python tests/bench/gan.py [--steps N] [--rounds N] [--peer FOLDER] [override ...]

DCGAN with spectral normalisation, 32 x 32, batches of 64, one step of each network. All sides start from the same
weights and take turns, so that a change of the machine's speed meets all. The fit has its callbacks, loggers and
averaged weights; the plain loop is what a person would write first, in float32. FOLDER holds the package torch-mimicry
(`pip install --no-deps --target FOLDER torch-mimicry`), whose trainer is given the same networks.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader

from aigc.callbacks import BetweenSteps, ExactState
from aigc.config import compose
from aigc.data.images import to_float
from aigc.launch import components
from aigc.launch.trainer import build_trainer
from aigc.logger import MetricsFileLogger, TensorBoard
from aigc.runs import Run
from aigc.runs.console import show_messages

NETWORKS = [
    "experiment=gan/emoji",
    "task.loss=non_saturating",
    "task.augmentation=null",
    "task.discriminator_optimizer=null",
]
RATE, BETAS = 2e-4, (0.5, 0.999)
MOST_SLOWNESS = 4.0
"""A precision that takes so many times as long as fp32 is left out: the processor has no units for it."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", type=Path, help="folder that holds torch_mimicry")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    shared = [f"trainer.max_steps={options.steps}", f"optimizer.lr={RATE}", f"optimizer.betas={list(BETAS)}"]
    cfg = compose([*NETWORKS, "evaluation=null", *shared, *options.overrides])
    show_messages()
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    sides: dict[str, Callable[[], float]] = {
        "plain loop": lambda: plain_loop(cfg, data),
        "fit, fp32": lambda: whole_fit(cfg, data, "32-true"),
    }
    slower = bf16_slowness()
    if slower < MOST_SLOWNESS:
        sides["fit, bf16"] = lambda: whole_fit(cfg, data, "bf16-mixed")
    else:
        print(f"bf16 is not measured: this processor takes {slower:.0f} times as long for it as for fp32")
    if options.peer and (options.peer / "torch_mimicry").is_dir():
        sys.path.append(str(options.peer))
        sides["mimicry"] = lambda: peer_loop(cfg, data)
    else:
        print("mimicry is not measured: --peer names no folder that holds torch_mimicry")
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(options.rounds + 1):
        for name, side in sides.items():
            rate = options.steps * cfg.data.batch_size / side()
            if round_number:  # the first round warms up
                rates[name].append(rate)
                print(f"{name:<12}{rate:8,.0f} images/s", flush=True)
    fits = [name for name in sides if name.startswith("fit")]
    for peer in sides.keys() - set(fits):
        for fit in fits:
            ratios = [ours / theirs for ours, theirs in zip(rates[fit], rates[peer], strict=True)]
            shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"{fit} / {peer}: median {statistics.median(ratios):.2f} (rounds: {shown})")


def bf16_slowness() -> float:
    """How many times as long as in fp32 a convolution takes in bf16, forward and backward."""
    layer, images = nn.Conv2d(32, 64, 3, padding=1), torch.randn(32, 32, 16, 16)

    def seconds(enabled: bool) -> float:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = layer(images).square().mean()
        loss.backward()
        return time.perf_counter() - began

    for enabled in (False, True):
        seconds(enabled)  # the first call prepares
    return min(seconds(True) for _ in range(3)) / min(seconds(False) for _ in range(3))


def fresh_task(cfg: Any, data: Any) -> Any:
    """The same weights each time."""
    components.prepare_machine(cfg)
    return components.build_task(cfg, data)


def plain_networks(cfg: Any, data: Any) -> Any:
    """The same weights, laid out as torch makes them."""
    return fresh_task(cfg, data).model.train().to(memory_format=torch.contiguous_format)


def plain_loop(cfg: Any, data: Any) -> float:
    """Seconds of what a person would write without a framework."""
    networks = plain_networks(cfg, data)
    generator, discriminator = networks.generator, networks.discriminator
    optimizers = [torch.optim.Adam(network.parameters(), RATE, BETAS) for network in (generator, discriminator)]
    began, step, epoch = time.perf_counter(), 0, 0
    loader = data.train_dataloader()
    while step < cfg.trainer.max_steps:
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            real = to_float(batch["images"])
            fake = generator(generator.latents(len(real))).detach()
            loss = softplus(-discriminator(real).logits).mean() + softplus(discriminator(fake).logits).mean()
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            loss = softplus(-discriminator(generator(generator.latents(len(real)))).logits).mean()
            optimizers[0].zero_grad()
            loss.backward()
            optimizers[0].step()
            step += 1
            if step == cfg.trainer.max_steps:
                break
        epoch += 1
    return time.perf_counter() - began


def whole_fit(cfg: Any, data: Any, precision: str) -> float:
    """Seconds of the framework, with everything that it does beside training."""
    cfg = cfg.copy()
    cfg.trainer.precision = precision
    task = fresh_task(cfg, data)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        callbacks = components.build_callbacks(cfg, "callbacks")
        trainer = build_trainer(
            cfg,
            Path(folder),
            [*callbacks.values(), ExactState(), BetweenSteps()],
            [MetricsFileLogger(run), TensorBoard(run)],
        )
        began = time.perf_counter()
        trainer.fit(task, train_dataloaders=data.train_dataloader())
        return time.perf_counter() - began


def peer_loop(cfg: Any, data: Any) -> float:
    """Seconds of mimicry's trainer, with its defaults, on the same networks and images."""
    # What its trainer does not need: TensorFlow behind metrics, and a library that reads images.
    for name in ("torch_mimicry.metrics", "torch_mimicry.datasets", "skimage.io", "skimage"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["skimage"].io = sys.modules["skimage.io"]  # type: ignore[attr-defined]
    from torch_mimicry.nets.gan import gan
    from torch_mimicry.training import Trainer

    networks = plain_networks(cfg, data)

    class Generator(gan.BaseGenerator):
        def __init__(self, network: Any) -> None:
            super().__init__(nz=network.latent_shape[0], ngf=0, bottom_width=4, loss_type="ns")
            self.network = network

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return self.network(latents)

    class Discriminator(gan.BaseDiscriminator):
        def __init__(self, network: nn.Module) -> None:
            super().__init__(ndf=0, loss_type="ns")
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network(images).logits[:, None]

    images = [(to_float(torch.from_numpy(pixels.copy())), 0) for pixels in data.prepared.pixels]
    loader: DataLoader[Any] = DataLoader(images, cfg.data.batch_size, shuffle=True, drop_last=True)  # type: ignore[arg-type]
    generator, discriminator = Generator(networks.generator), Discriminator(networks.discriminator)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(
            netD=discriminator,
            netG=generator,
            optD=torch.optim.Adam(discriminator.parameters(), RATE, BETAS),
            optG=torch.optim.Adam(generator.parameters(), RATE, BETAS),
            dataloader=loader,
            num_steps=cfg.trainer.max_steps,
            log_dir=folder,
            device=torch.device("cpu"),
        )
        began = time.perf_counter()
        trainer.train()
        return time.perf_counter() - began


if __name__ == "__main__":
    main()

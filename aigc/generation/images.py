"""Images of a task that depend on the seed alone, not on training's random state or the number of ranks."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from aigc.data.random_streams import Stream, stream_seed
from aigc.distributed.data_rank import data_rank
from aigc.errors import DivergedRun, InputError
from aigc.generation.random_state import fixed_random_state
from aigc.metrics.image import FeatureStatistics, Statistics
from aigc.metrics.image.extractors import Extractor
from aigc.metrics.image.quantisation import quantise
from aigc.printing import plural
from aigc.runs import stop

_BLOCK = 16
"""Images whose latents are drawn together."""


class ImageSource(Protocol):
    """What makes images: `aigc.tasks.ImageTask`, by its methods, as tasks lie above this package."""

    @property
    def device(self) -> torch.device:
        """Where images are made."""

    @property
    def steps_done(self) -> int:
        """Steps that it is trained for, for messages."""

    def latents(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw latents."""

    def conditions(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what images are conditioned on, by name."""

    def generate(self, latents: Tensor, conditions: Mapping[str, Tensor]) -> Tensor:
        """Make images from -1 to 1."""

    def modules(self) -> Iterator[nn.Module]:
        """All networks and layers."""

    def eval(self) -> Any:
        """Change to evaluation mode."""

    def precision_context(self) -> AbstractContextManager[None]:
        """Compute in training's precision."""


class Drawn(NamedTuple):
    """Latents and conditions of some images."""

    latents: Tensor
    conditions: dict[str, Tensor]
    """What the images are conditioned on, by name; empty where they are not."""
    noise: int
    """Seed of the networks' own draws."""


def draw(task: ImageSource, count: int, seed: int, stream: Stream, *numbers: int) -> Drawn:
    """Draw latents and conditions, on the task's device; they depend on the seed, the stream and the numbers alone."""
    source = torch.Generator().manual_seed(stream_seed(stream, seed, *numbers))
    latents, conditions = task.latents(count, source), task.conditions(count, source)
    noise = int(torch.randint(2**62, (), generator=source))
    return Drawn(latents.to(task.device), {name: one.to(task.device) for name, one in conditions.items()}, noise)


def sample(
    task: ImageSource, count: int, seed: int = 0, batch_size: int = 64
) -> Iterator[tuple[Tensor, Tensor, dict[str, Tensor]]]:
    """Make images in 8 bits; every rank makes its share.

    Latents and conditions of an image depend on the seed and its number alone, not on ranks or batch size. Draws of the
    networks themselves (noise of StyleGAN) depend on the batch as well.

    Args:
        task: The source of the images.
        count: How many, over all ranks.
        seed: Another seed gives other images.
        batch_size: Images made at the same time.

    Yields:
        Numbers of images, int64 of shape (n,), the images, uint8 of shape (n, channels, height, width), and their
        conditions by name.

    Raises:
        InputError: The task does not make images from -1 to 1.
        DivergedRun: An image holds NaN.
        InterruptedRun, PreemptedRun: This single process was asked to stop.
    """
    rank, ranks = data_rank()
    for chunk in range(rank, -(-count // batch_size), ranks):
        if ranks == 1:
            stop.check(" while measuring images")
        first, last = chunk * batch_size, min((chunk + 1) * batch_size, count)
        drawn = _numbered(task, first, last, seed)
        yield torch.arange(first, last), make(task, drawn), drawn.conditions


def measure_samples(
    task: ImageSource,
    extractor: Extractor,
    keep: bool,
    count: int,
    seed: int,
    batch_size: int,
    reservoir: int = 50_000,
) -> Statistics:
    """Compute statistics of images over all ranks; arguments and errors as of `FeatureStatistics` and `sample`."""
    collected = FeatureStatistics(extractor, keep, reservoir)
    for indices, images, conditions in sample(task, count, seed, batch_size):
        collected.update(images, indices, conditions.get("labels"))
    return collected.compute()


def _numbered(task: ImageSource, first: int, last: int, seed: int) -> Drawn:
    """Draw for the images from one number up to another, in blocks that do not depend on batches."""
    blocks = [draw(task, _BLOCK, seed, Stream.MEASURED, block) for block in range(first // _BLOCK, -(-last // _BLOCK))]
    these = slice(first % _BLOCK, first % _BLOCK + last - first)
    latents = torch.cat([block.latents for block in blocks])
    conditions = {name: torch.cat([block.conditions[name] for block in blocks]) for name in blocks[0].conditions}
    return Drawn(latents[these], {name: one[these] for name, one in conditions.items()}, blocks[0].noise)


def make(task: ImageSource, drawn: Drawn) -> Tensor:
    """Make images, uint8 of shape (n, channels, height, width), of latents and conditions; errors as of `sample`."""
    with undisturbed(task, drawn.noise):
        images = task.generate(drawn.latents, drawn.conditions)
    if images.ndim != 4 or images.shape[0] != len(drawn.latents) or not images.is_floating_point():
        raise InputError(
            f"task: {type(task).__name__}.generate must give a float tensor of shape (count, channels, height, width), "
            f"and gives {images.dtype} of shape {tuple(images.shape)} for {plural(len(drawn.latents), 'latent')}"
        )
    if bool(images.isnan().any()):
        raise DivergedRun(f"images hold NaN after step {task.steps_done}; lower optimizer.lr and start again")
    return quantise(images)


@contextmanager
def undisturbed(task: ImageSource, seed: int = 0) -> Iterator[None]:
    """Change to evaluation mode, no gradients, training's precision and a seed; restore modes and random generators."""
    modes = {module: module.training for module in task.modules()}
    try:
        task.eval()
        with fixed_random_state(task.device, seed), torch.no_grad(), task.precision_context():
            yield
    finally:
        _restore(modes)


def _restore(modes: dict[nn.Module, bool]) -> None:
    """Restore each module by itself: a task may keep some in evaluation mode while others train."""
    for module, training in modes.items():
        module.training = training

"""Evaluation of generated images against the real ones during training."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from aigc.config import build
from aigc.config.types import Bound, Slot
from aigc.data.images import Images
from aigc.data.random_streams import Stream
from aigc.errors import InputError
from aigc.evaluation.base import Evaluation
from aigc.evaluation.feature_pass import classifier_of
from aigc.evaluation.real_statistics import Real, real_statistics
from aigc.generation.grids import beside, between, columns_of, grid, save_png
from aigc.generation.images import Drawn, draw, make, measure_samples
from aigc.logger import image_file, log_image
from aigc.metrics.image import ImageMeasure, compare, nearest
from aigc.metrics.image.extractors import Extractor, get_extractor
from aigc.runs.console import log
from aigc.tasks import ImageTask
from aigc.tasks.memory import advised, half

_CLASSIFIER = "classifier"
"""The extractor that is trained on the labels of the data."""


class ImageGeneration(Evaluation):
    """Evaluation that generates images at some steps and at the end, and saves and logs some of them.

    One pass of the extractor serves all metrics. The real images are the training images as the task sees them; their
    statistics are cached under a hash of their content. `fid_floor...` is the Fréchet distance between real images and
    other real images. The random state of training does not change. TensorBoard and W&B show the images as
    samples/grid, samples/interpolation and samples/neighbours.

    Args:
        metrics: Named `_target_` nodes of aigc.metrics.image; null switches one off, or all.
        extractor: The network that extracts features: inception, efficientnet_lite0, clip, dinov2, classifier (trained
            on the labels of the data), or a `_target_` node. Only the reference Inception network gives `fid` itself.
        samples: Number of images to measure. The Fréchet distance falls with it: compare equal numbers only.
        every_n_steps: Steps (generator steps of a GAN) between evaluations; null evaluates at the end only.
        at_start: Also evaluate before the first step.
        batch_size: Images generated at the same time.
        seed: The same seed gives the same latents; training uses other streams of random numbers.
        reservoir: Largest number of images whose features are kept, for the metrics that need them.
        grid: Images in the grid, of the same latents at every step; 0 saves none.
        strip: Images of an interpolation between two latents, in four rows; 0 saves none.
        neighbours: Samples shown beside their nearest training images; 0 saves none.
        cache: Folder of the statistics of real images.

    Raises:
        InputError: The extractor is not known.
    """

    measure_class = ImageMeasure
    expects = ImageTask
    needs: ClassVar[Mapping[str, type]] = {"images": Images}
    often_changed: ClassVar = ("samples", "extractor")
    at_validation = False
    fewest_samples = 2

    def __init__(
        self,
        metrics: Annotated[dict[str, Any] | None, Slot("aigc.metrics.image.measure.ImageMeasure", named=True)] = None,
        extractor: Annotated[
            str | dict[str, Any],
            Slot(
                "aigc.metrics.image.extractors.base.Extractor", names="aigc.metrics.image.extractors", attribute="name"
            ),
        ] = "efficientnet_lite0",
        samples: Annotated[int, Bound(2)] = 10_000,
        every_n_steps: Annotated[int, Bound(1)] | None = None,
        at_start: bool = False,
        batch_size: Annotated[int, Bound(1)] = 64,
        seed: Annotated[int, Bound(0, 4294967295)] = 0,
        reservoir: Annotated[int, Bound(2)] = 50_000,
        grid: Annotated[int, Bound(0)] = 64,
        strip: Annotated[int, Bound(0)] = 8,
        neighbours: Annotated[int, Bound(0)] = 4,
        cache: str = "~/.cache/aigc",
    ):
        super().__init__(metrics, samples, every_n_steps, at_start)
        self.extractor: Extractor | None = None
        """None until there are images to train a classifier on."""
        self._chosen = extractor
        self.batch_size = batch_size
        self.seed = seed
        self.reservoir = reservoir
        self.grid = grid
        self.strip = strip
        self.neighbours = neighbours
        self.cache = Path(cache).expanduser()
        self._real: Real | None = None

    def prepare(self) -> None:
        """Build the extractor."""
        with torch.random.fork_rng(devices=[]):  # initial weights must not use up random numbers of training
            if isinstance(self._chosen, dict):
                self.extractor = build(self._chosen, Extractor, f"{self.key}.extractor")
            elif self._chosen != _CLASSIFIER:
                self.extractor = get_extractor(self._chosen)

    def scores_of(self, metric: ImageMeasure) -> Iterable[str]:
        """Return the names of the scores, which end in that of the extractor."""
        suffix = f"_{_CLASSIFIER}" if self.extractor is None else self.extractor.suffix
        return [f"{name}{suffix}" for name in metric.names]

    def check_data(self, data: Any) -> None:
        """Check that there are labels to train a classifier on."""
        if self.extractor is None and data.images.labels is None:
            raise InputError(f"{self.key}.extractor={_CLASSIFIER} learns from labels, and the data have none")

    def unmeasurable(self, metric: ImageMeasure, samples: int, data: Any) -> str | None:
        """Return why a metric cannot measure this number of images."""
        classes = len(data.images.classes) if self.extractor is None else self.extractor.classes
        return metric.refuses(samples, len(data.images), classes)

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Find the state that earlier versions kept under the name of the extractor."""
        states = checkpoint["callbacks"]
        name = _CLASSIFIER if self.extractor is None else self.extractor.name
        if (old := f"{type(self).__name__}_{name}") in states:
            states.setdefault(self.state_key, states.pop(old))

    def memory_advice(self) -> list[str]:
        """Advise fewer images at the same time."""
        return advised(half(f"{self.key}.batch_size", self.batch_size))

    def evaluate(self, trainer: Trainer, module: ImageTask) -> None:
        """Measure, record, and save images; all ranks must call it."""
        make(module, draw(module, 1, self.seed, Stream.GRID))  # equal on all ranks: all fail if it diverged
        data: Any = trainer.datamodule
        extractor = self._ready(data.images).to(module.device)
        real = self._statistics_of_real(data.images, extractor)
        if self.metrics:  # otherwise only images are wanted
            self._measure(module, extractor, real)
        if trainer.is_global_zero:
            self.samples_folder(trainer)
            for title, image in self._images(module, data.images, extractor, real):
                name = f"{self.samples_prefix}/{title}"
                save_png(image, image_file(Path(trainer.default_root_dir) / "samples", name, module.steps_done))
                log_image(trainer.loggers, name, image, module.steps_done)

    def _measure(self, module: ImageTask, extractor: Extractor, real: Real | None) -> None:
        generated = measure_samples(
            module, extractor, self._keeps, self.samples, self.seed, self.batch_size, self.reservoir
        )
        values, signatures = compare(self.metrics.values(), generated, real and real.whole, real and real.heldout)
        self.record(module, values, signatures)
        log.info("step %d: %s", module.steps_done, _shown(values))

    @property
    def _keeps(self) -> bool:
        """Whether a metric needs the features themselves."""
        return any(metric.needs_features for metric in self.metrics.values())

    def _ready(self, images: Images) -> Extractor:
        """Return the extractor; the classifier is trained first."""
        if self.extractor is None:
            self.extractor = classifier_of(images, self.cache)
        return self.extractor

    def _statistics_of_real(self, images: Images, extractor: Extractor) -> Real | None:
        """Return them, computed once in a process; None where nothing needs them."""
        needed = self.neighbours > 0 or any(metric.needs_real for metric in self.metrics.values())
        if self._real is None and needed:
            keep = self._keeps or self.neighbours > 0
            self._real = real_statistics(
                images, extractor, self.cache, keep, self.samples, self.reservoir, self.batch_size
            )
        return self._real

    def _images(
        self, module: ImageTask, images: Images, extractor: Extractor, real: Real | None
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield images to save with their titles."""
        if self.grid:
            yield "grid", self._grid(module)
        if self.strip:
            yield "interpolation", self._strip(module)
        if self.neighbours and real is not None:
            yield "neighbours", self._beside_nearest(module, images, extractor, real)

    def _grid(self, module: ImageTask) -> Tensor:
        """Return images of fixed latents; where the task has classes, each has a column."""
        drawn = draw(module, self.grid, self.seed, Stream.GRID)
        in_turn = module.grid_conditions(self.grid)
        conditions = drawn.conditions | {name: one.to(module.device) for name, one in in_turn.items()}
        return grid(make(module, drawn._replace(conditions=conditions)), columns_of(in_turn.get("labels")))

    def _beside_nearest(self, module: ImageTask, real_images: Images, extractor: Extractor, real: Real) -> Tensor:
        """Return samples beside their nearest training images."""
        images = make(module, draw(module, self.neighbours, self.seed, Stream.NEIGHBOURS))
        indices = nearest(extractor(images).features, real.whole, 4)
        return beside(images, [[real_images.read(int(index)) for index in row] for row in indices])

    def _strip(self, module: ImageTask) -> Tensor:
        """Return four rows of interpolations between two latents, each of one condition."""
        rows = []
        for way in range(4):
            ends = draw(module, 2, self.seed, Stream.STRIP, way)
            conditions = {name: one[:1].repeat_interleave(self.strip, 0) for name, one in ends.conditions.items()}
            rows.append(make(module, Drawn(between(ends.latents, self.strip), conditions, ends.noise)))
        return grid(torch.cat(rows), self.strip)


def _shown(values: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())

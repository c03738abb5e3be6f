"""Generators of images, as `aigc.models.images.saved` keeps them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aigc.errors import InputError
from aigc.generation.image_choice import ImageChoice
from aigc.inference.base import SAFETENSORS, Comparison, Generated, Request, SavedModel
from aigc.inference.parts.image_maker import ImageMaker

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import Tensor

    from aigc.inference.parts.image_sets import RunImages

_COMPARED = 8
"""Images that are compared after export; programs are traced with two, which shows that any number works."""


class SavedImageGenerator(SavedModel, ImageMaker):
    """A generator of images and the names of its classes."""

    makes = "images"
    keys = ImageChoice
    usage = (
        "Images go to files whose names are printed: one grid (a name ending in .png), single files (a folder), or an "
        "animation from image to image (a name ending in .webp). Each image depends only on its seed and label."
    )
    options: ClassVar = {
        "out": "FILE.png, FOLDER or FILE.webp (./<run id>-<seed>.png)",
        "force": "replace files that exist",
    }
    always_exported = ("config.json",)
    formats: ClassVar = {
        SAFETENSORS: "weights and configuration, for aigc.models.images.saved.load_generator",
        "torchscript": "for torch.jit.load, also in C++ (PyTorch calls it deprecated)",
        "pt2": "for torch.export.load",
        "onnx": "for ONNX Runtime and others (needs the packages onnx and onnxscript)",
    }

    def load(self) -> tuple[Any, Any]:
        """Load (generator, names of its classes); see `SavedModel.load`."""
        from aigc.models.images.saved import CONFIG, load_generator, read_config

        if not self.run.model.is_dir():
            raise InputError(f"run {self.run.id} has no model yet: let it finish.")
        described = read_config(self.run.model / CONFIG)
        if "task" in described:  # what an ImageTask leaves by default
            raise InputError(
                f"{self.run.model} holds the weights of {described['task']}, which saves no generator alone: define "
                "`generator_to_save` in the task."
            )
        generator, class_names = load_generator(self.run.model)
        return generator, class_names

    def generate(self, request: Request) -> Iterator[Generated]:
        """Write images to files; see `SavedModel.generate`."""
        from aigc.inference.parts.image_files import ImageFiles

        yield from ImageFiles(self.run.id, request.keys, request.out, request.force).write(self.load)

    def measure(self, cfg: "DictConfig", overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        """Validate the best checkpoint, or the last one, on held-out images; see `SavedModel.measure`."""
        from pytorch_lightning import LightningModule

        from aigc.config.build import target_class
        from aigc.inference.parts.checkpoint import best_or_last, load_task
        from aigc.inference.parts.validation import validate

        kind = target_class(cfg.task["_target_"], LightningModule, "task")
        if kind.validation_step is LightningModule.validation_step:
            raise InputError(
                f"{kind.__name__} does not validate on held-out images: `aigc score-images {self.run.id}` measures the "
                "images that it makes"
            )
        task, data, _ = load_task(self.run, best_or_last(self.run), cfg)
        return validate(self.run, task, data, cfg, overrides)

    def images(self, samples: int, seed: int) -> "RunImages":
        """Open the best checkpoint, or the last one; see `ImageMaker.images`."""
        from aigc.inference.parts.checkpoint import best_or_last, load_task
        from aigc.inference.parts.image_sets import RunImages

        task, data, _ = load_task(self.run, best_or_last(self.run))
        return RunImages.of(self.run, task, data, samples, seed)

    def export(self, form: str, folder: Path, checkpoint: str | None) -> Comparison:
        """Compare images of fixed latents: to the last bit for safetensors; see `SavedModel.export`."""
        from aigc.inference.parts.generator_programs import PROGRAMS, fixed_inputs
        from aigc.inference.parts.outputs import fixed_outputs
        from aigc.models.images.saved import WEIGHTS, load_generator
        from aigc.models.probe import largest_difference

        make = self._copy(folder) if checkpoint is None else self._of_checkpoint(checkpoint, folder)
        fresh, _ = load_generator(folder)
        inputs = fixed_inputs(fresh, _COMPARED)
        difference = largest_difference(fixed_outputs(make, inputs), fixed_outputs(fresh, inputs))
        what = f"images of {_COMPARED} fixed latents, {{}} and loaded again"
        if form == SAFETENSORS or difference:
            return Comparison(what.format(f"{WEIGHTS} written"), difference, 0.0)
        written = PROGRAMS[form](fresh, fixed_inputs(fresh, 2), folder)
        (folder / WEIGHTS).unlink()
        return Comparison(what.format(f"{written.file} written{written.note}"), *written.compare(inputs))

    def _copy(self, folder: Path) -> Callable[..., "Tensor"]:
        from aigc.models.images.saved import CONFIG, read_config, save_generator

        generator, names = self.load()
        save_generator(generator, read_config(self.run.model / CONFIG)["generator"], names, folder)
        make: Callable[..., Tensor] = generator
        return make

    def _of_checkpoint(self, name: str, folder: Path) -> Callable[..., "Tensor"]:
        """Save what a checkpoint holds and return what makes images of it."""
        import torch

        from aigc.inference.parts.checkpoint import load_task
        from aigc.models.images.saved import CONFIG, read_config
        from aigc.tasks import ImageTask

        task, _, _ = load_task(self.run, name)
        assert isinstance(task, ImageTask)
        task.eval().to(memory_format=torch.contiguous_format)  # as files keep it
        task.save_model(folder)
        if "generator" not in read_config(folder / CONFIG):
            name = type(task).__name__
            raise InputError(f"{self.run.id}: {name} saves no generator to export: define `{name}.generator_to_save`")

        def make(latents: "Tensor", labels: "Tensor | None" = None) -> "Tensor":
            return task.generate(latents, {} if labels is None else {"labels": labels})

        return make

"""Generators as programs for other tools: TorchScript, torch.export, ONNX; each is written and loaded again."""

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from aigc.errors import AigcError, InputError
from aigc.inference.parts.outputs import fixed_outputs
from aigc.models.images.base import ImageGenerator
from aigc.models.probe import largest_difference

_log = logging.getLogger("aigc")
_JIT, _EXPORT, _ONNX = "TorchScript", "torch.export", "ONNX"
_TOLERANCE = 1e-5
"""Largest difference that is allowed, for images from -1 to 1: sums in another order round differently."""
Inputs = tuple[Tensor, ...]
"""Latents, and labels where there are classes."""


class Written(NamedTuple):
    """A file, and two functions from latents and labels to images that are compared."""

    form: str
    file: str
    reference: Callable[..., Tensor]
    reloaded: Callable[..., Tensor]
    note: str = ""

    def compare(self, inputs: Inputs) -> tuple[float, float]:
        """Return the largest difference of images, of any number of them, and the one that is allowed.

        Raises:
            AigcError: The program does not work for another number of images.
        """
        expected = fixed_outputs(self.reference, inputs)
        found = _or_say_why(self.form, lambda: fixed_outputs(self.reloaded, inputs))
        return largest_difference(expected, found), _TOLERANCE * max(1.0, float(expected.abs().max()))


def fixed_inputs(generator: ImageGenerator, count: int) -> Inputs:
    """Return latents that are the same each time, and all classes in turn where there are classes."""
    latents = generator.latents(count, torch.Generator().manual_seed(0))
    return (latents, torch.arange(count) % generator.classes) if generator.classes else (latents,)


def torchscript(generator: ImageGenerator, inputs: Inputs, folder: Path) -> Written:
    """Write TorchScript for `torch.jit.load`, also from C++; PyTorch 2.14 deprecates it and still writes it."""
    name = "generator.pt"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        jit: Any = torch.jit  # its functions have no types
        jit.save(_or_say_why(_JIT, lambda: jit.trace(generator, inputs, check_trace=False)), str(folder / name))
        reloaded = jit.load(str(folder / name))
    return Written(_JIT, name, generator, reloaded)


def pt2(generator: ImageGenerator, inputs: Inputs, folder: Path) -> Written:
    """Write a program for `torch.export.load`, the successor of TorchScript."""
    name = "generator.pt2"
    shapes = tuple({0: torch.export.Dim("images")} for _ in inputs)
    with torch.no_grad():
        program = _or_say_why(_EXPORT, lambda: torch.export.export(generator, inputs, dynamic_shapes=shapes))
        torch.export.save(program, folder / name)
    return Written(_EXPORT, name, generator, torch.export.load(folder / name).module())


def onnx(generator: ImageGenerator, inputs: Inputs, folder: Path) -> Written:
    """Write ONNX, with inputs `latents` and `labels` and output `images`, for any number of images, in one file.

    The generator's own noise (StyleGAN's) is left out: other runtimes would draw other numbers.
    """
    missing = [name for name in ("onnx", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"--format onnx needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    name, draws = "generator.onnx", _draws(generator, inputs)
    with warnings.catch_warnings(), torch.no_grad(), _Still() if draws else nullcontext():
        warnings.simplefilter("ignore")
        program = _or_say_why(_ONNX, lambda: _onnx_program(generator, inputs))
        program.save(str(folder / name), external_data=False)
    note = ", without the generator's own noise," if draws else ""
    return Written(_ONNX, name, _still(generator) if draws else generator, _onnx_runtime(folder / name), note)


PROGRAMS: Mapping[str, Callable[[ImageGenerator, Inputs, Path], Written]] = {
    "torchscript": torchscript,
    "pt2": pt2,
    "onnx": onnx,
}


def _onnx_program(generator: ImageGenerator, inputs: Inputs) -> Any:
    names = ["latents", "labels"][: len(inputs)]
    return torch.onnx.export(
        generator,
        inputs,
        input_names=names,
        output_names=["images"],
        dynamic_shapes=tuple({0: torch.export.Dim("images")} for _ in inputs),
        dynamo=True,
        verbose=False,
    )


def _onnx_runtime(path: Path) -> Callable[..., Tensor]:
    """Load a file with ONNX Runtime where it is installed, else with the slow reference of onnx."""
    if importlib.util.find_spec("onnxruntime") is not None:
        runtime = importlib.import_module("onnxruntime")
        session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    else:
        _log.info("comparing with onnx's own reference, which is slow: pip install onnxruntime")
        session = importlib.import_module("onnx.reference").ReferenceEvaluator(str(path))

    def run(*inputs: Tensor) -> Tensor:
        named = dict(zip(("latents", "labels"), (value.numpy() for value in inputs), strict=False))
        return torch.from_numpy(session.run(None, named)[0])

    return run


class _Still(TorchFunctionMode):
    """Replaces draws from a normal distribution by zeros."""

    def __torch_function__(
        self, function: Any, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = {name: value for name, value in (kwargs or {}).items() if name != "generator"}
        if function in (torch.randn, torch.randn_like):
            return (torch.zeros if function is torch.randn else torch.zeros_like)(*args, **given)
        return function(*args, **(kwargs or {}))


def _still(generator: ImageGenerator) -> Callable[..., Tensor]:
    def make(*inputs: Tensor) -> Tensor:
        with _Still():
            images: Tensor = generator(*inputs)
            return images

    return make


def _draws(generator: ImageGenerator, inputs: Inputs) -> bool:
    """Whether a generator draws random numbers itself."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        before = torch.get_rng_state()
        generator(*inputs)
        return not torch.equal(torch.get_rng_state(), before)


def _or_say_why(form: str, make: Callable[[], Any]) -> Any:
    """Turn an exporter's error into one line."""
    try:
        return make()
    except Exception as error:  # each exporter has a family of its own
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise AigcError(
            f"{form} cannot express this generator: {reason[:200]}; take --format safetensors. If it is your own: its "
            "forward must work for any number of images, so x.shape[0] and not len(x), which is a constant to a tracer"
        ) from error

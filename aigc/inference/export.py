"""A run's model as files that stand by themselves: written, loaded into a fresh object, compared, and only then named.

They lie in a folder beside the one asked for until all of this is done, so that what has a name is whole and right.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from aigc.errors import AigcError, InputError
from aigc.inference.export_formats import FORMATS, Inputs, largest, outputs
from aigc.inference.from_checkpoint import load_task
from aigc.models.images.base import ImageGenerator
from aigc.models.images.saved import CONFIG, WEIGHTS, load_generator, read_config, save_generator
from aigc.runs import Run
from aigc.runs.console import log
from aigc.runs.files import sync_folder
from aigc.runs.status import Status
from aigc.tasks import ImageTask

_IMAGES = 8
"""Images that are compared; formats with a graph are made from two, which shows that any number goes through."""


class Exported(NamedTuple):
    """What was written, and what it was compared by."""

    files: list[Path]
    compared: str
    difference: float
    """The largest one."""


def export(run: Run, form: str, folder: Path, checkpoint: str | None = None, force: bool = False) -> Exported:
    """Write a run's model and see that it is the same when it is loaded again.

    Args:
        run: The run.
        form: safetensors, or one of FORMATS, which are for generators of images.
        folder: Where; it is made when it does not exist.
        checkpoint: last, best or step-N; None takes what a finished run left in model/.
        force: Replace files of the same names.

    Raises:
        InputError: The run is not finished, or has no such checkpoint; the format is not for its model, or needs a
            package that is not installed; files are in the way, or cannot be written.
        AigcError: What was loaded again differs from what was written.
    """
    if checkpoint is None:
        _check_finished(run)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: that is a file; name a folder")
    make = _export_images if _makes_images(run, checkpoint) else _export_texts
    with _beside(folder) as temporary:
        compared, difference, allowed = make(run, form, temporary, checkpoint)
        if not difference <= allowed:  # NaN is no agreement either
            raise AigcError(f"{run.id}: {compared} differ by {difference:g}, at most {allowed:g} is right; not written")
        files = _move(temporary, folder, force)
    return Exported(files, compared, difference)


def _check_finished(run: Run) -> None:
    """The model of a run that goes on is not yet what it will be."""
    if run.status is not Status.FINISHED:
        now = " --checkpoint last exports what it has now." if any(run.checkpoints.glob("step-*.ckpt")) else ""
        raise InputError(f"{run.id} is not finished (status {run.status}): let it, or `aigc resume {run.id}`.{now}")


def _makes_images(run: Run, checkpoint: str | None) -> bool:
    if checkpoint is None:
        return run.makes_images
    from aigc.config.build import target_class
    from aigc.tasks import Task

    return issubclass(target_class(run.config.task["_target_"], Task, "task"), ImageTask)


def _export_images(run: Run, form: str, folder: Path, checkpoint: str | None) -> tuple[str, float, float]:
    """Of a generator: images of fixed latents."""
    if checkpoint is None:
        generator, names = run.load_model()
        save_generator(generator, read_config(run.model / CONFIG)["generator"], names, folder)
        make: Callable[..., Tensor] = generator
    else:
        make = _of_checkpoint(run, checkpoint, folder)
    fresh, _ = load_generator(folder)
    inputs = _fixed_inputs(fresh)
    expected = outputs(make, inputs)
    difference = largest(expected, outputs(fresh, inputs))
    what = f"images of {_IMAGES} fixed latents, {{}} and loaded again"
    if form == "safetensors" or difference:
        return what.format(f"{WEIGHTS} written"), difference, 0.0
    written = FORMATS[form](fresh, _fixed_inputs(fresh, 2), folder)
    (folder / WEIGHTS).unlink()
    return what.format(f"{written.file} written{written.note}"), *written.compare(inputs)


def _of_checkpoint(run: Run, name: str, folder: Path) -> Callable[..., Tensor]:
    """Save what a checkpoint holds, and give what makes images of it."""
    task, _, step = load_task(run, name)
    log.info("%s: step %d", run.id, step)
    assert isinstance(task, ImageTask)
    task.eval().to(memory_format=torch.contiguous_format)  # as files keep it
    task.save_model(folder)
    if "generator" not in read_config(folder / CONFIG):
        raise InputError(f"{run.id}: {type(task).__name__} saves no generator alone, which is what could be exported")

    def make(latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return task.generate(latents, {} if labels is None else {"labels": labels})

    return make


def _fixed_inputs(generator: ImageGenerator, count: int = _IMAGES) -> Inputs:
    latents = generator.latents(count, torch.Generator().manual_seed(0))
    return (latents, torch.arange(count) % generator.classes) if generator.classes else (latents,)


def _export_texts(run: Run, form: str, folder: Path, checkpoint: str | None) -> tuple[str, float, float]:
    """Of a language model: logits of fixed tokens."""
    if form != "safetensors":
        raise InputError(f"--format {form} is for generators of images; {run.id} has a language model: safetensors")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if checkpoint is None:
        model, tokenizer = run.load_model()
    else:
        task, data, step = load_task(run, checkpoint)
        log.info("%s: step %d", run.id, step)
        model, tokenizer = task.model.eval(), data.tokenizer
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    kind = model.config._attn_implementation
    load = partial(AutoModelForCausalLM.from_pretrained, folder, local_files_only=True, use_safetensors=True)
    fresh = load(trust_remote_code=False, attn_implementation=kind, dtype=model.dtype).eval()
    AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    length = min(getattr(model.config, "max_position_embeddings", None) or 16, 16)
    ids = torch.arange(2 * length).reshape(2, length) % model.config.vocab_size
    with torch.no_grad():
        difference = largest(model(ids).logits, fresh(ids).logits)
    return f"logits of {ids.numel()} fixed tokens, {WEIGHTS} written and loaded again", difference, 0.0


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder on the same file system, which is gone at the end; inside of a folder that may be a mount."""
    place = folder if folder.is_dir() else folder.absolute().parent
    temporary = place / f".{folder.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made: {error.strerror or error}") from error
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, folder: Path, force: bool) -> list[Path]:
    """Give all files their names; each is replaced in one step."""
    names = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    there = [folder / name for name in names if (folder / name).exists()]
    if there and not force:
        raise InputError(f"{there[0]} exists already; --force replaces it, --out names another folder")
    files: list[Path] = []
    try:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            _sync(temporary / name)
            (temporary / name).replace(folder / name)
            files.append(folder / name)
        sync_folder(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return files


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

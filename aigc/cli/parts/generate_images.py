"""Images from a run's generator, written to files."""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.options import fields_help
from aigc.cli.parts.typed_keys import read_keys
from aigc.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from aigc.generation.image_choice import ImageChoice
    from aigc.generation.seeded_images import SeededImages, Source
    from aigc.runs import Run

_CHOICE = "aigc.generation.image_choice.ImageChoice"


def keys_help() -> str:
    """The keys that a generator of images takes."""
    return fields_help(_CHOICE, "keys of images (key=value; default in brackets):")


def generate(one: "Run", options: argparse.Namespace) -> None:
    """Write the images and print the names of their files.

    Raises:
        InputError: What was typed is wrong or does not fit the generator, or a file cannot or must not be written.
    """
    from aigc.generation.image_choice import ImageChoice

    if options.prompts:
        raise InputError(f"--prompts is for texts, and {one.id} makes images; give seed= and labels= instead")
    choice = ImageChoice(**read_keys(options.overrides, _CHOICE))
    seeds = choice.seeds()
    out = _place(one, choice, seeds, options.out)
    _check_output(choice, len(seeds), out)
    if _is_file(out):
        _check_free([out], options.force)
        _check_folder(out.parent)

    import torch

    from aigc.generation.seeded_images import SeededImages

    generator, class_names = one.load_model()
    labels = choice.labels_of(class_names)
    maker = SeededImages(generator.to("cuda" if torch.cuda.is_available() else "cpu"), choice.truncation)
    sources = [maker.source(seed, None if labels is None else labels[n]) for n, seed in enumerate(seeds)]
    names = None if labels is None else [class_names[label] for label in labels]
    if _is_file(out):
        _write(out, (_movie if out.suffix.lower() == ".webp" else _sheet)(maker, sources, choice))
        _tell(options, out, seeds, names)
    elif choice.interpolation:
        files = [out / f"frame-{n:05d}.png" for n in range((len(seeds) - 1) * choice.interpolation)]
        told = [(seeds, names)] * len(files)
        _write_each(files, maker.way(sources, choice.interpolation), told, options)
    else:
        files = [out / _file_name(source, None if names is None else names[n]) for n, source in enumerate(sources)]
        told = [([seed], names and [names[n]]) for n, seed in enumerate(seeds)]
        _write_each(files, maker.images(sources), told, options)


def _place(one: "Run", choice: "ImageChoice", seeds: list[int], given: str | None) -> Path:
    """Where the images go."""
    if given is not None:
        if not given.strip():
            raise InputError("--out is empty; give a file or a folder, or leave it out")
        return Path(given).expanduser()
    kind = "-interpolation" if choice.interpolation else "-mixing" if choice.mixing else ""
    return Path(f"{one.id}-{seeds[0]}{kind}.png")


def _is_file(out: Path) -> bool:
    """Whether all goes into one file; a name without an ending is a folder's, in which each image has a file."""
    return out.suffix.lower() in (".png", ".webp") and not out.is_dir()


def _check_output(choice: "ImageChoice", count: int, out: Path) -> None:
    """See that keys and the kind of file fit together, before a model is loaded."""
    suffix = out.suffix.lower() if _is_file(out) else ""
    if out.suffix and not suffix and not out.is_dir():
        raise InputError(f"--out {out}: expected FILE.png, FILE.webp, or a folder (make one first to have a dot in it)")
    if suffix == ".webp" and choice.interpolation is None:
        raise InputError(f"--out {out}: an animation needs interpolation=STEPS, the images from one to the next")
    if choice.interpolation is not None and choice.mixing is not None:
        raise InputError("give either interpolation= or mixing=, not both")
    if choice.interpolation is not None and count < 2:
        raise InputError("interpolation: a way needs two images at least; raise num_images, or give seed=0,1")
    if choice.mixing is not None and suffix != ".png":
        raise InputError(f"--out {out}: mixing makes one table; give FILE.png")
    if choice.crossover is not None and choice.mixing is None:
        raise InputError(f"crossover={choice.crossover} belongs to a table of mixed styles: give mixing=ROWSxCOLUMNS")


def _sheet(maker: "SeededImages", sources: "list[Source]", choice: "ImageChoice") -> bytes:
    """One image of all images: a grid, strips, or a table."""
    import torch

    from aigc.generation.grids import columns_of, grid, png

    if table := choice.table():
        return png(grid(torch.stack(list(_table(maker, sources, table[0], choice.crossover))), 1 + table[1]))
    if choice.interpolation:
        return png(grid(torch.stack(list(maker.way(sources, choice.interpolation))), choice.interpolation))
    labels = [source.label for source in sources if source.label is not None]
    columns = columns_of(torch.cat(labels).cpu()) if labels else None
    return png(grid(torch.stack(list(maker.images(sources))), columns))


def _table(maker: "SeededImages", sources: "list[Source]", number: int, crossover: int | None) -> "Iterator[Tensor]":
    """Row by row, with the images of the columns above them and that of the row before each."""
    rows, columns = sources[:number], sources[number:]
    mixed = list(maker.mixed(rows, columns, crossover))
    yield mixed[0].new_full(mixed[0].shape, 255)
    yield from maker.images(columns)
    for n, row in enumerate(rows):
        yield maker.image(row)
        yield from mixed[n * len(columns) : (n + 1) * len(columns)]


def _movie(maker: "SeededImages", sources: "list[Source]", choice: "ImageChoice") -> bytes:
    """From image to image and back to the first one."""
    from aigc.generation.animation import webp

    assert choice.interpolation is not None
    return webp(list(maker.way([*sources, sources[0]], choice.interpolation, ends=False)))


def _write_each(
    files: list[Path], images: "Iterator[Tensor]", told: list[tuple[Any, Any]], options: argparse.Namespace
) -> None:
    """One file an image, written as soon as it is made; `told` has the seeds and classes of each."""
    from aigc.generation.grids import png

    _check_free(files, options.force)
    folder = files[0].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be made: {error.strerror or error}") from error
    for file, image, (seeds, names) in zip(files, images, told, strict=True):
        _write(file, png(image))
        _tell(options, file, seeds, names)


def _file_name(source: "Source", name: str | None) -> str:
    """`seed000005-A.png`; a class with a name that a file system may refuse is called by its number."""
    if name is not None and not re.fullmatch(r"\w[\w .+#'()&,-]{0,59}", name):
        name = f"class{int(source.label)}" if source.label is not None else None
    return f"seed{source.seed:06d}" + ("" if name is None else f"-{name}") + ".png"


def _check_free(files: list[Path], force: bool) -> None:
    """See that no file is in the way, before time is spent on images."""
    there = [file for file in files if file.exists()]
    if there and not force:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise InputError(f"{there[0]}{more} exists already; --force replaces it, --out names another place")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError(f"--out: there is no folder {folder}; make it first")


def _write(path: Path, content: bytes) -> None:
    from aigc.runs.files import write_atomic

    try:
        write_atomic(path, content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _tell(options: argparse.Namespace, path: Path, seeds: list[int], labels: list[str] | None) -> None:
    if options.json:
        print(json.dumps({"file": str(path), "seeds": seeds, "labels": labels}, ensure_ascii=False))
    else:
        print(path)

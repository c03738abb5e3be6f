"""Images of a generator as files: a grid, single images, a strip, an animation, a table of mixed styles."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc.errors import InputError
from aigc.generation.animation import webp
from aigc.generation.grids import columns_of, grid, png
from aigc.generation.image_choice import ImageChoice
from aigc.generation.seeded_images import SeededImages, Source
from aigc.inference.base import Generated
from aigc.inference.parts.files import check_folder, check_free, write


class ImageFiles:
    """Files of images that a person asks for.

    Args:
        name: Of the run, which names files where no name is given.
        choice: Which images.
        out: A file that ends in .png or .webp, or a folder; None makes a name.
        force: Replace files that exist.

    Raises:
        InputError: The choice and the kind of file do not fit together, or a file is in the way.
    """

    def __init__(self, name: str, choice: ImageChoice, out: str | None, force: bool) -> None:
        self.choice = choice
        self.force = force
        self.seeds = choice.seeds()
        self.out = _path(name, choice, self.seeds, out)
        self._single = _is_file(self.out)
        _check_output(choice, len(self.seeds), self.out)
        if self._single:
            check_free([self.out], force)
            check_folder(self.out.parent)

    def write(self, load: Callable[[], tuple[Any, list[str]]]) -> Iterator[Generated]:
        """Make the images and write each file as soon as its image is made.

        Args:
            load: Loads the generator and the names of its classes; it is called once all is checked.

        Raises:
            InputError: The choice does not fit the generator, or a file cannot be written.
        """
        generator, class_names = load()
        labels = self.choice.labels_of(class_names)
        maker = SeededImages(generator.to("cuda" if torch.cuda.is_available() else "cpu"), self.choice.truncation)
        sources = [maker.source(seed, None if labels is None else labels[n]) for n, seed in enumerate(self.seeds)]
        names = None if labels is None else [class_names[label] for label in labels]
        if self._single:
            make = _movie if self.out.suffix.lower() == ".webp" else _sheet
            write(self.out, make(maker, sources, self.choice))
            yield _generated(self.out, self.seeds, names)
        elif self.choice.interpolation:
            frames = (len(self.seeds) - 1) * self.choice.interpolation
            files = [self.out / f"frame-{n:05d}.png" for n in range(frames)]
            of_each = [(self.seeds, names)] * frames
            yield from self._write_each(files, maker.interpolated(sources, self.choice.interpolation), of_each)
        else:
            files = [self.out / _file_name(one, None if names is None else names[n]) for n, one in enumerate(sources)]
            of_each = [([seed], names and [names[n]]) for n, seed in enumerate(self.seeds)]
            yield from self._write_each(files, maker.images(sources), of_each)

    def _write_each(
        self, files: list[Path], images: Iterator[Tensor], of_each: list[tuple[list[int], list[str] | None]]
    ) -> Iterator[Generated]:
        """Write one file an image; `of_each` holds seeds and classes of each."""
        check_free(files, self.force)
        folder = files[0].parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--out {folder}: cannot be made: {error.strerror or error}") from error
        for file, image, (seeds, names) in zip(files, images, of_each, strict=True):
            write(file, png(image))
            yield _generated(file, seeds, names)


def _generated(path: Path, seeds: list[int], labels: list[str] | None) -> Generated:
    return Generated(str(path), {"file": str(path), "seeds": seeds, "labels": labels})


def _path(name: str, choice: ImageChoice, seeds: list[int], given: str | None) -> Path:
    """Return where the images go."""
    if given is not None:
        if not given.strip():
            raise InputError("--out is empty; give a file or a folder, or leave it out")
        return Path(given).expanduser()
    kind = "-interpolation" if choice.interpolation else "-mixing" if choice.mixing else ""
    return Path(f"{name}-{seeds[0]}{kind}.png")


def _is_file(out: Path) -> bool:
    """Whether all images go into one file; a name without an extension is a folder with a file for each image."""
    return out.suffix.lower() in (".png", ".webp") and not out.is_dir()


def _check_output(choice: ImageChoice, count: int, out: Path) -> None:
    """Check that keys and the kind of file fit together, before a model is loaded."""
    suffix = out.suffix.lower() if _is_file(out) else ""
    if out.suffix and not suffix and not out.is_dir():
        raise InputError(f"--out {out}: expected FILE.png, FILE.webp, or a folder (make one first to have a dot in it)")
    if suffix == ".webp" and choice.interpolation is None:
        raise InputError(f"--out {out}: an animation needs interpolation=STEPS, the images from one to the next")
    if choice.interpolation is not None and choice.mixing is not None:
        raise InputError("give either interpolation= or mixing=, not both")
    if choice.interpolation is not None and count < 2:
        raise InputError("interpolation needs at least two images; raise num_images, or give seed=0,1")
    if choice.mixing is not None and suffix != ".png":
        raise InputError(f"--out {out}: mixing makes one table; give FILE.png")
    if choice.crossover is not None and choice.mixing is None:
        raise InputError(f"crossover={choice.crossover} belongs to a table of mixed styles: give mixing=ROWSxCOLUMNS")


def _sheet(maker: SeededImages, sources: list[Source], choice: ImageChoice) -> bytes:
    """Encode one image of all images: a grid, strips, or a table."""
    if table := choice.table():
        return png(grid(torch.stack(list(_table(maker, sources, table[0], choice.crossover))), 1 + table[1]))
    if choice.interpolation:
        return png(grid(torch.stack(list(maker.interpolated(sources, choice.interpolation))), choice.interpolation))
    labels = [source.label for source in sources if source.label is not None]
    columns = columns_of(torch.cat(labels).cpu()) if labels else None
    return png(grid(torch.stack(list(maker.images(sources))), columns))


def _table(maker: SeededImages, sources: list[Source], number: int, crossover: int | None) -> Iterator[Tensor]:
    """Yield a table row by row, with the images of the columns above and the image of each row before it."""
    rows, columns = sources[:number], sources[number:]
    mixed = list(maker.mixed(rows, columns, crossover))
    yield mixed[0].new_full(mixed[0].shape, 255)
    yield from maker.images(columns)
    for n, row in enumerate(rows):
        yield maker.image(row)
        yield from mixed[n * len(columns) : (n + 1) * len(columns)]


def _movie(maker: SeededImages, sources: list[Source], choice: ImageChoice) -> bytes:
    """Encode an animation from image to image and back to the first one."""
    assert choice.interpolation is not None
    return webp(list(maker.interpolated([*sources, sources[0]], choice.interpolation, ends=False)))


def _file_name(source: Source, name: str | None) -> str:
    """Return `seed000005-A.png`; a class whose name a file system may refuse is named by its number."""
    if name is not None and not re.fullmatch(r"\w[\w .+#'()&,-]{0,59}", name):
        name = f"class{int(source.label)}" if source.label is not None else None
    return f"seed{source.seed:06d}" + ("" if name is None else f"-{name}") + ".png"

"""Prepared images: decoded and fitted once, then kept in the cache under a key of all their ingredients."""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray

from aigc.data.cache import entry_key, find_or_make
from aigc.data.images.base import ImageArray, Images, Labels
from aigc.data.images.fit import ImageRecipe, changes, fit
from aigc.data.images.reading import decoded, log_skipped
from aigc.data.progress import log_once, step
from aigc.errors import InputError
from aigc.printing import plural

FORMAT = 1
"""Raised whenever the same recipe would give other files."""

_TICK = 64


@dataclass(frozen=True)
class PreparedImages:
    """An entry of the cache.

    Attributes:
        folder: Holds `pixels.npy`, `kept.npy`, `info.json`, and `labels.npy` where the images have labels.
        info: The content of `info.json`.
    """

    folder: Path
    info: dict[str, Any]

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """The images, of shape (n, channels, height, width), through a memory map."""
        return np.asanyarray(np.load(self.folder / "pixels.npy", mmap_mode="r"))

    @cached_property
    def labels(self) -> Labels | None:
        """The class of each image, if the set has classes."""
        path = self.folder / "labels.npy"
        return np.load(path) if path.exists() else None

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """The index of each image in the set that it comes from."""
        return np.asarray(np.load(self.folder / "kept.npy"))


def prepare(recipe: ImageRecipe, source: Images, cache: Path) -> PreparedImages:
    """Find the prepared images in the cache, or make them.

    Args:
        recipe: How the images are fitted.
        source: The images.
        cache: The folder that holds the entries, under `images/`.

    Raises:
        InputError: An image cannot be read, or sizes differ where they may not.
    """
    content = {"format": FORMAT, "images": source.fingerprint(), "recipe": asdict(recipe)}
    ingredients = content | {"classes": source.classes, "versions": {"pillow": PIL.__version__}}
    folder = cache / "images" / entry_key(ingredients)

    def make(aside: Path) -> None:
        info = _build(recipe, source, aside)
        info["fingerprint"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        info["ingredients"] = ingredients
        (aside / "info.json").write_text(json.dumps(info, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        if source.has_changed():  # it would be kept under the key of other content
            raise InputError(f"{source.name} changed while it was read. Start again when nothing writes to it.")

    find_or_make(folder, make)
    found = PreparedImages(folder, json.loads((folder / "info.json").read_text(encoding="utf-8")))
    _log_fitted(source.name, found.info)
    if found.info["skipped"]:
        log_skipped(source, sorted(set(range(len(source))) - set(found.kept.tolist())))
    return found


def _build(recipe: ImageRecipe, source: Images, folder: Path) -> dict[str, Any]:
    """Decode everything into `folder`, and say what it is."""
    kept: list[int] = []
    fitted: Counter[str] = Counter()
    shape: tuple[int, ...] = ()
    what = f"decoding {plural(len(source), 'image')}"
    with step(what, len(source)) as advance, (folder / "pixels.npy").open("wb") as file:
        for index, (size, pixels) in decoded(source, recipe.on_bad, partial(_sized, recipe=recipe)):
            if not kept:
                shape = pixels.shape
                _check_square(source.name_of(index), shape)
                _write_header(file, len(source), shape)
            if pixels.shape != shape:
                raise InputError(
                    f"{source.name_of(index)} is {_size(pixels.shape)} and {source.name_of(kept[0])} {_size(shape)}. "
                    "For images of several sizes set data.resolution."
                )
            file.write(pixels.data)
            kept.append(index)
            fitted.update(changes(size[0], size[1], recipe))
            if len(kept) % _TICK == 0:
                advance(_TICK)
        _write_header(file, len(kept), shape)
    np.save(folder / "kept.npy", np.array(kept, np.int64))
    if source.labels is not None:
        np.save(folder / "labels.npy", source.labels[kept])
    return {
        "skipped": len(source) - len(kept),
        "fitted": dict(fitted),
        "resolution": shape[1],
        "channels": shape[0],
        "train": {"images": len(kept)},
        "validation": {"rows": 0},
    }


def _sized(array: ImageArray, recipe: ImageRecipe) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Height and width of an image, and the image fitted."""
    return (array.shape[0], array.shape[1]), fit(array, recipe)


def _log_fitted(name: str, info: dict[str, Any]) -> None:
    """Say once in a process what was done to images that do not have the size of the others."""
    side = f"{info['resolution']} x {info['resolution']} pixels"
    what = {
        "cropped": "cut to the square in the middle",
        "squeezed": "squeezed to a square",
        "scaled": f"scaled to {side}",
    }
    number = info["train"]["images"]
    done = [f"{count:,} of {plural(number, 'image')} are {what[one]}" for one, count in info.get("fitted", {}).items()]
    if done:
        log_once(f"{name}: {', '.join(done)}")


def _write_header(file: BinaryIO, number: int, shape: tuple[int, ...]) -> None:
    """Write what a .npy file begins with; numpy makes it equally long for any number of images."""
    file.seek(0)
    header = {"descr": "|u1", "fortran_order": False, "shape": (number, *shape)}
    np.lib.format.write_array_header_1_0(file, header)


def _check_square(name: str, shape: tuple[int, ...]) -> None:
    if shape[1] != shape[2]:
        raise InputError(f"{name} is {_size(shape)}, which is not a square. Set data.crop=center, or data.resolution.")


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[2]} x {shape[1]} pixels"

"""A generator on disk: safetensors, and a config.json from which it is built again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError

from aigc.config import build
from aigc.config.problems import ConfigError
from aigc.config.renamed import with_new_names
from aigc.errors import InputError
from aigc.models.images.base import ImageGenerator
from aigc.printing import plural

WEIGHTS, CONFIG = "model.safetensors", "config.json"
_FORMAT = 1


class SavedGenerator(NamedTuple):
    """A generator with what is needed to build it again; the arguments of `save_generator`."""

    generator: ImageGenerator
    config: Mapping[str, Any]
    """The `_target_` node it was built from, with all arguments."""
    class_names: Sequence[str]
    """Names of its classes by label; empty where there are none."""


def save_generator(
    generator: ImageGenerator, config: Mapping[str, Any], class_names: Sequence[str], folder: Path
) -> None:
    """Write model.safetensors and config.json into a folder that exists.

    Args:
        generator: Its parameters and buffers are written, in their own dtypes.
        config: The node it was built from: `_target_` and all arguments, with `resolution`, `channels` and `classes`.
        class_names: Names of the classes by label; without any, classes are named by their numbers.
        folder: Where; files of these names are replaced.

    Raises:
        OSError: The folder cannot be written; a SafetensorError for the file of weights.
    """
    # Contiguous copies: safetensors keeps no strides, and refuses two names of one tensor.
    weights = {name: value.detach().cpu().contiguous().clone() for name, value in generator.state_dict().items()}
    safetensors.torch.save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    described = {
        "format": _FORMAT,
        "generator": dict(config),
        "classes": _names(class_names, generator.classes),
        "latent_shape": list(generator.latent_shape),
        "range": [-1, 1],
    }
    (folder / CONFIG).write_text(json.dumps(described, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def load_generator(folder: Path | str) -> tuple[ImageGenerator, list[str]]:
    """Load a generator, on the CPU and in evaluation mode, and the names of its classes.

    The class in config.json must be an `ImageGenerator` of a package that the person trusts; nothing in the folder can
    change what is trusted. Random states are left as they are.

    Raises:
        InputError: A file is missing, damaged, or not of a generator; the message names it.
    """
    folder = Path(folder)
    path = folder / CONFIG
    node, names = _read(path)
    try:
        with torch.random.fork_rng(devices=[]):
            generator = build(node, ImageGenerator, "generator")
    except ConfigError as error:
        reason = "; ".join(str(problem) for problem in error.problems)
        raise InputError(f"{path}: this generator cannot be built: {reason}") from error
    except (InputError, RuntimeError, ArithmeticError, LookupError, AttributeError, AssertionError) as error:
        raise InputError(f"{path}: this generator cannot be built: {error}") from error
    if len(names) != generator.classes:
        raise InputError(f"{path}: it names {plural(len(names), 'class')}, and its generator has {generator.classes}")
    _load_weights(generator, folder / WEIGHTS)
    return generator.eval(), names


def read_config(path: Path) -> dict[str, Any]:
    """Read the mapping in a JSON file.

    Raises:
        InputError: It is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; a generator has one") from error
    except ValueError as error:  # undecodable bytes as well as JSON that does not parse
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged: it does not contain a mapping")
    return found


def _read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the generator's node and the names of its classes."""
    found = read_config(path)
    if "generator" not in found:
        raise InputError(f"{path} does not describe a generator: expected the keys format, generator and classes")
    if found.get("format") != _FORMAT:
        raise InputError(f"{path}: format {found.get('format')!r} is not known; this version of aigc reads {_FORMAT}")
    node, names = with_new_names(found["generator"]), found.get("classes")
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise InputError(f"{path}: generator must be a mapping with _target_, the class to build")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: classes must be a list of names, empty for a generator without classes")
    return node, names


def _names(given: Sequence[str], classes: int) -> list[str]:
    """Return as many names as the generator has classes: none for one that was trained without labels."""
    return list(given) if given and classes else [str(number) for number in range(classes)]


def _load_weights(generator: ImageGenerator, path: Path) -> None:
    try:
        weights = safetensors.torch.load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"{path}: no such file, or it is damaged: {error}") from error
    try:
        generator.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        shortly = " ".join(line if len(line) < 160 else line[:150] + " ..." for line in lines[:3])
        raise InputError(f"{path}: these are not weights of the generator in {CONFIG}. {shortly}") from error

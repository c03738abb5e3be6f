"""Texts from a run's language model."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.lines import read_lines, split_lines, stdin_bytes
from aigc.cli.parts.options import fields_help
from aigc.cli.parts.typed_keys import read_keys

if TYPE_CHECKING:
    from aigc.runs import Run

_SAMPLING = "aigc.generation.sampling.Sampling"
_PROMPT_HELP = "keys of texts (key=value; default in brackets):\n  prompt []\n      Text to go on from."


def keys_help() -> str:
    """The keys that a language model takes."""
    return fields_help(_SAMPLING, _PROMPT_HELP)


def generate(one: "Run", options: argparse.Namespace) -> None:
    """Write the texts to stdout.

    Raises:
        InputError: What was typed is wrong, or the model cannot be loaded.
    """
    from aigc.errors import InputError

    for option in ("out", "force"):
        if getattr(options, option):
            raise InputError(f"--{option} is for images, and {one.id} writes texts, to stdout; `> FILE` keeps them")
    values = read_keys(options.overrides, _SAMPLING, literal=("prompt",))
    prompts = _prompts(values.pop("prompt", None), options.prompts)

    import transformers

    from aigc.generation.sampling import Sampling
    from aigc.generation.texts import generate_texts

    transformers.utils.logging.disable_progress_bar()
    model, tokenizer = one.load_model()
    if _has_gpu():
        model = model.to("cuda")
    for given, texts in zip(prompts, generate_texts(model, tokenizer, prompts, Sampling(**values)), strict=True):
        for text in texts:
            print(json.dumps({"prompt": given, "text": text}, ensure_ascii=False) if options.json else given + text)


def _prompts(prompt: Any, file: str | None) -> list[str]:
    from aigc.errors import InputError

    if prompt is not None and file is not None:
        raise InputError("give either prompt= or --prompts, not both")
    if prompt is not None:
        return [prompt]
    if file is None and (sys.stdin is None or sys.stdin.isatty()):
        return [""]
    if file is None:  # a pipe; an empty one, as a job script has it, means no prompt
        return split_lines(stdin_bytes(), "stdin") or [""]
    lines = read_lines(file)
    if not lines:
        raise InputError(f"{file}: there is no prompt in it; expected one a line")
    return lines


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()

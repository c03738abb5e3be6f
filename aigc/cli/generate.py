"""`aigc generate RUN`: text from a run's model."""

import argparse
import json
import sys
from typing import Any

from aigc.cli.lines import read_lines, split_lines, stdin_bytes
from aigc.cli.options import VerbParser, fields_help, read_value

_SAMPLING = "aigc.evaluation.sampling.Sampling"
_PROMPT_HELP = "keys (key=value; default in brackets):\n  prompt []\n      Text to go on from."


def parser() -> argparse.ArgumentParser:
    """The verb's arguments."""
    made = VerbParser(
        "generate",
        "Write texts with a run's model: for prompt=TEXT, for each line of a file, or for each line of stdin.\n"
        "Without any prompt the model starts by itself.",
        "aigc generate latest prompt=床前明月光，疑是地上霜。 num_samples=3 temperature=0.8",
        lambda: fields_help(_SAMPLING, _PROMPT_HELP),
    )
    made.add_argument("run", metavar="RUN", help="run id, the beginning of one, a path, or latest")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="prompt and sampling keys, see below")
    made.add_argument("--prompts", metavar="FILE", help="read prompts from a file, one a line; - is stdin")
    made.add_argument("--json", action="store_true", help="print one JSON object a text: prompt, text")
    return made


def run(options: argparse.Namespace) -> None:
    """Write the texts to stdout."""
    from aigc.runs import Run

    one = Run.open(options.run)
    prompt, values = read_keys(options.overrides)
    prompts = _prompts(prompt, options.prompts)

    import transformers

    from aigc.evaluation.generate import generate_texts
    from aigc.evaluation.sampling import Sampling

    transformers.utils.logging.disable_progress_bar()
    model, tokenizer = one.load_model()
    if _has_gpu():
        model = model.to("cuda")
    for given, texts in zip(prompts, generate_texts(model, tokenizer, prompts, Sampling(**values)), strict=True):
        for text in texts:
            print(json.dumps({"prompt": given, "text": text}, ensure_ascii=False) if options.json else given + text)


def read_keys(overrides: list[str]) -> tuple[str | None, dict[str, Any]]:
    """The prompt, taken literally, and the checked sampling values.

    Raises:
        ConfigError: Every unknown key and wrong value.
    """
    from aigc.config.problems import ConfigError, Problem, suggest
    from aigc.config.targets import signature
    from aigc.config.types import mismatches

    known = signature(_SAMPLING).parameters
    prompt, values, problems = None, {}, []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            problems.append(Problem("", f"cannot read {text!r}; expected key=value", "command line"))
        elif key == "prompt":
            prompt = value
        elif key not in known:
            problems.append(Problem(key, f"no such key; {suggest(key, ['prompt', *known])}", f"command line: {text}"))
        else:
            values[key] = read_value(value, known[key].type)
            found = mismatches(key, values[key], known[key].type)
            problems += [Problem(name, what, f"command line: {text}") for name, what in found]
    if problems:
        raise ConfigError(problems)
    return prompt, values


def _prompts(prompt: str | None, file: str | None) -> list[str]:
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

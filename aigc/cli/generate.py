"""`aigc generate RUN`: text from a run's model."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from aigc.cli.options import VerbParser, fields_help

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
            values[key] = _value(value)
            found = mismatches(key, values[key], known[key].type)
            problems += [Problem(name, what, f"command line: {text}") for name, what in found]
    if problems:
        raise ConfigError(problems)
    return prompt, values


def _value(text: str) -> Any:
    """A number, null, or the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return None if text == "null" else text


def _prompts(prompt: str | None, file: str | None) -> list[str]:
    from aigc.errors import InputError

    if prompt is not None and file is not None:
        raise InputError("give either prompt= or --prompts, not both")
    if prompt is not None:
        return [prompt]
    if file is None and (sys.stdin is None or sys.stdin.isatty()):
        return [""]
    if file not in (None, "-"):
        try:
            return _lines(Path(str(file)).read_text(encoding="utf-8-sig"), str(file))
        except OSError as error:
            raise InputError(f"--prompts {file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"--prompts {file}: not UTF-8 at byte {error.start}") from error
    try:
        return _lines(sys.stdin.buffer.read().decode("utf-8-sig"), "stdin") if file == "-" else _piped()
    except UnicodeDecodeError as error:
        raise InputError(f"stdin: not UTF-8 at byte {error.start}") from error


def _piped() -> list[str]:
    """Prompts from a pipe; an empty one, as a job script has it, means no prompt."""
    return _split(sys.stdin.buffer.read().decode("utf-8-sig")) or [""]


def _split(text: str) -> list[str]:
    """Lines as a text editor counts them: `splitlines` would also cut at U+2028 and form feeds."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _lines(text: str, source: str) -> list[str]:
    from aigc.errors import InputError

    lines = _split(text)
    if not lines:
        raise InputError(f"{source}: there is no prompt in it; expected one a line")
    return lines


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()

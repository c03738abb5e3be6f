"""`aigc generate RUN`: text or images from a run's model."""

import argparse
import sys
import textwrap
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.options import VerbParser, add_trust, fields_help, use_trusted
from aigc.printing import print_json

if TYPE_CHECKING:
    from aigc.inference.base import SavedModel

_SHOWN = 8
"""Numbers of blank lines."""


class GenerateParser(VerbParser):
    """The verb's parser; its help shows the keys of the run on the same line, or else those of all kinds of models."""

    def __init__(self) -> None:
        super().__init__(
            "generate",
            "Generate with a run's model: texts, images, or what else its kind makes; see below.",
            "aigc generate latest prompt=床前明月光，疑是地上霜。 num_samples=3 temperature=0.8\n"
            "  aigc generate latest --file prompts.jsonl --out answers.jsonl\n"
            "  aigc generate gan-letters labels=A,B,C num_images=30 seed=7 --out abc.png\n"
            "  aigc generate gan-letters seed=0,3,7 labels=S interpolation=24 --out way.webp",
            lambda: _keys_help(self._typed),
        )
        self._typed: list[str] = []

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and keep the arguments for the help."""
        self._typed = [text for text in args or [] if not text.startswith("-") and "=" not in text]
        return super().parse_intermixed_args(args, namespace)


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = GenerateParser()
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, latest, or the folder of a model")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="keys of the model, see below")
    made.add_argument("--prompts", metavar="FILE", help=_option_help("prompts"))
    made.add_argument("--file", metavar="FILE.jsonl", help=_option_help("file"))
    made.add_argument("--out", metavar="FILE|FOLDER", help=_option_help("out"))
    made.add_argument("--force", action="store_true", help=_option_help("force"))
    made.add_argument("--json", action="store_true", help="print one JSON object for each result")
    add_trust(made)
    return made


def _option_help(name: str) -> str:
    """Return the help of an option from the kinds of models that take it."""
    from aigc.inference.find import kinds

    return "; ".join(f"{kind.makes}: {kind.options[name]}" for kind in kinds() if name in kind.options)


def run(options: argparse.Namespace) -> None:
    """Generate, and print each result as soon as it is ready."""
    from aigc.cli.parts.lines import read_objects
    from aigc.cli.parts.typed_keys import read_keys
    from aigc.inference.base import Request
    from aigc.inference.find import open_model
    from aigc.runs.console import show_messages

    use_trusted(options.trust)
    show_messages()
    model = open_model(options.run)
    model.check_options([name for name in ("prompts", "file", "out", "force") if getattr(options, name)])
    keys = model.keys(**read_keys(options.overrides, _path(model.keys)))
    request = Request(
        keys,
        prompts_file=options.prompts,
        read_prompts=lambda: _read_prompts(options.prompts),
        rows_file=options.file,
        read_rows=lambda: read_objects(options.file),
        out=options.out,
        force=options.force,
    )
    for line, record in model.generate(request):
        if options.json:
            print_json(record)
        else:
            print(line)


def _read_prompts(file: str | None) -> list[str]:
    """Read the lines of a file, or of a pipe, without blank ones; none where there is neither."""
    from aigc.cli.parts.lines import read_lines, split_lines, stdin_bytes
    from aigc.errors import InputError
    from aigc.runs.console import log

    if file is None and (sys.stdin is None or sys.stdin.isatty()):
        return []
    lines = split_lines(stdin_bytes(), "stdin") if file is None else read_lines(file)
    prompts = [line for line in lines if line.strip()]
    if not prompts and file is None:  # an empty pipe, as in a job script, means no prompt
        return []
    if not prompts:
        raise InputError(f"{file}: there are no prompts; expected one per line")
    if blank := [number for number, line in enumerate(lines, 1) if not line.strip()]:
        shown = ", ".join(map(str, blank[:_SHOWN])) + (", ..." if len(blank) > _SHOWN else "")
        log.warning("%s: %d of %d lines are blank and left out: %s", file or "stdin", len(blank), len(lines), shown)
    return prompts


def _keys_help(typed: list[str]) -> str:
    """Return the keys of the model of the run on this line; those of all kinds of models where no run is named."""
    from aigc.inference.find import kinds

    chosen = [_kind_of(typed[0])] if typed else []
    shown = [kind for kind in chosen if kind] or [kind for kind in kinds() if fields(kind.keys)]
    return "\n\n".join(map(_kind_help, shown))


def _kind_help(kind: "type[SavedModel]") -> str:
    if not fields(kind.keys):
        return f"keys of {kind.makes}: none, such a model generates nothing"
    usage = f"{textwrap.fill(kind.usage, 110)}\n" if kind.usage else ""
    return usage + fields_help(_path(kind.keys), f"keys of {kind.makes} (key=value; default in brackets):")


def _kind_of(name: str) -> "type[SavedModel] | None":
    from aigc.errors import InputError
    from aigc.inference.find import open_model

    try:
        return type(open_model(name))
    except InputError:
        return None


def _path(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"

"""Words of messages, and printing under any encoding: JSON and YAML on stdout can be read again."""

import codecs
import io
import json
import sys
from itertools import takewhile
from typing import Any

_PRINTED = "\u3000\u200d"
"""The space of Chinese texts, and what joins emoji."""


def plural(number: float, noun: str) -> str:
    """Return a number with its noun, as `1 image`, `2,500 images` or `3 classes`."""
    ending = "" if number == 1 else "es" if noun.endswith(("s", "tch")) else "s"
    return f"{number:,} {noun}{ending}"


def shortened(text: str, most: int = 200) -> str:
    """Return a text that stands in a message, its end left out where it is longer than `most` characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


def visible(text: str) -> str:
    """Return a text with escapes for characters that would not show, or move the cursor; line feeds stay as well."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable() or character in _PRINTED:
        return character
    escaped = character.encode("unicode_escape").decode("ascii")
    return f"{escaped}\n" if character == "\n" else escaped


def escape_unprintable() -> None:
    """Write what the encoding of stdout or stderr lacks as an escape, so that printing never fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON; characters that stdout cannot write as UTF-8 are escaped, so that it stays valid JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    print(text if _is_writable(text) else json.dumps(value, indent=indent))


def print_yaml(text: str) -> None:
    """Print YAML; where stdout cannot write it as UTF-8, its values are escaped. Comments at its head are kept."""
    if not _is_writable(text):
        head = takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True))
        text = "".join(head) + _escaped_yaml(text)
    print(text, end="")


def _escaped_yaml(text: str) -> str:
    """Return the same YAML in ASCII; read and written as OmegaConf does, which takes 1e-5 for a number."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf._utils import get_omega_conf_dumper

    values = OmegaConf.to_container(OmegaConf.create(text))
    return str(yaml.dump(values, Dumper=get_omega_conf_dumper(), allow_unicode=False, sort_keys=False))


def _is_writable(text: str) -> bool:
    """Whether stdout writes this text as UTF-8; ASCII is UTF-8 in every encoding of a terminal."""
    if text.isascii():
        return True
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode("utf-8")  # a lone surrogate cannot be written
    except UnicodeEncodeError:
        return False
    return codecs.lookup(encoding).name == "utf-8"

"""Overrides in Hydra's grammar: parse and apply them."""

import re
from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.origins import COMMAND_LINE
from aigc.config.problems import ConfigError, Problem
from aigc.config.types import shown

_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w/@:$-]*(\.[\w/@:$-]+)*", re.ASCII)

_BARE = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([^\s,:\[\]{}()'"][^,:\[\]{}()'"]*?)(?=\s*([:,\]}]|$))""")
"""What is quoted, or a bare value and what follows it."""


class SeveralValues(ConfigError):
    """Overrides that are right but for keys with several values, as of a sweep."""


def parse_overrides(overrides: Sequence[str], sweeps: bool = False, origin: str = COMMAND_LINE) -> list[Any]:
    """Parse overrides to Hydra's `Override` objects; all that cannot be read are reported in one ConfigError.

    Args:
        overrides: What was typed.
        sweeps: Whether a key may have several values.
        origin: Where it was typed.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed, problems, swept = [], [], []
    for text in overrides:
        try:
            one = _parse_or_quote(parser, text)
        except HydraException:
            what = f"cannot read {shown(text)}: {_why_unreadable(text)}; expected key=value, group=choice or ~key"
            problems.append(Problem("", what, origin))
            continue
        if one.is_sweep_override() and not sweeps:
            what = f"several values ({text}): a run takes one; `aigc sweep` takes several"
            swept.append(Problem(one.key_or_group, what, origin))
        parsed.append(one)
    if problems:
        raise ConfigError([*problems, *swept])
    if swept:
        raise SeveralValues(swept)
    return parsed


def _why_unreadable(text: str) -> str:
    """Return what was most likely left out; Hydra's own messages name tokens of its grammar."""
    key, equals, value = text.partition("=")
    if not text.strip():
        return "it is empty"
    if not equals:
        return "a key without a value" if _KEY.fullmatch(text) else "not a key with a value"
    if not _KEY.fullmatch(key):
        return f"{shown(key)} is not a key" if key else "a value without a key"
    if value.startswith("{") and not "".join(re.findall(r"[{,]\s*([^,:{}]*):", value)).isascii():
        return f"the names in {shown(value)} may have ASCII letters, digits and underscores alone"
    return f"the value {shown(value)} has an unmatched bracket or quote, or a stray comma"


def _parse_or_quote(parser: Any, text: str) -> Any:
    """Parse an override; quote its value where needed, as Hydra's grammar allows only Latin letters outside quotes."""
    from hydra.errors import HydraException

    if text.startswith("="):
        raise HydraException(text)
    try:
        return parser.parse_override(text)
    except HydraException:
        key, equals, value = text.partition("=")
        if not equals or not key or value[:1] in ("'", '"') or "${" in value:
            raise
        if value[:1] in ("[", "{"):
            return parser.parse_override(f"{key}={_BARE.sub(_quoted, value)}")
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return parser.parse_override(f"{key}='{quoted}'")


def _quoted(found: re.Match[str]) -> str:
    """Quote a value in a list or a mapping, if it has other letters than Latin ones; names are left."""
    value, follows = found[2], found[3]
    return f'"{value}"' if value and not value.isascii() and follows != ":" else found[0]


def apply_override(cfg: DictConfig, override: Any) -> None:
    """Set or delete one key in place."""
    key = override.key_or_group
    if override.is_delete():
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(cfg, parent) if parent else cfg
        if node is not None and name in node:
            del node[name]
        else:
            raise ConfigError([Problem(key, "no such key to delete", f"{COMMAND_LINE}: {override.input_line}")])
    else:
        # An unknown key is added here and refused by `check`, which suggests the nearest known name.
        OmegaConf.update(cfg, key, override.value(), merge=True, force_add=True)

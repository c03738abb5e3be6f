"""What was typed: Hydra's override grammar, read and applied."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config.origins import COMMAND_LINE
from aigc.config.problems import ConfigError, Problem


def parse_overrides(overrides: Sequence[str], sweeps: bool = False) -> list[Any]:
    """Hydra's `Override` objects; every one that cannot be read is reported in one ConfigError.

    Args:
        overrides: What was typed.
        sweeps: Whether a key may have several values.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    parsed, problems = [], []
    for text in overrides:
        try:
            one = _parse_or_quote(parser, text)
        except HydraException as error:
            why = str(error).splitlines()[0]
            problems.append(Problem("", f"cannot read {text!r}: {why}; expected key=value", COMMAND_LINE))
            continue
        if one.is_sweep_override() and not sweeps:
            what = f"several values ({text}): a run takes one; `aigc sweep` takes several"
            problems.append(Problem(one.key_or_group, what, COMMAND_LINE))
        parsed.append(one)
    if problems:
        raise ConfigError(problems)
    return parsed


def _parse_or_quote(parser: Any, text: str) -> Any:
    """Hydra's grammar knows Latin letters only outside quotes; paths and texts have others, `~`, and more."""
    from hydra.errors import HydraException

    try:
        return parser.parse_override(text)
    except HydraException:
        key, equals, value = text.partition("=")
        if not equals or value[:1] in tuple("[{\"'") or "${" in value:
            raise
        if not key:
            raise
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return parser.parse_override(f"{key}='{quoted}'")


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
        # An unknown key is added here and refused by `check`, which knows the nearest right name.
        OmegaConf.update(cfg, key, override.value(), merge=True, force_add=True)

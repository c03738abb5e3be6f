"""The text of a config as a run folder keeps it: resolved, but for what comes from the environment."""

import re
from typing import Any

from omegaconf import DictConfig, OmegaConf

_ENVIRONMENT = re.compile(r"\$\{oc\.env:[^{}]*\}")


def frozen_yaml(cfg: DictConfig) -> str:
    """YAML with every interpolation resolved except `${oc.env:...}`, so that no environment value is written down."""
    kept: list[str] = []

    def hide(text: str) -> str:
        def note(match: re.Match[str]) -> str:
            kept.append(match.group())
            return f"\N{SYMBOL FOR SUBSTITUTE}{len(kept) - 1}\N{SYMBOL FOR SUBSTITUTE}"

        return _ENVIRONMENT.sub(note, text)

    def show(text: str) -> str:
        mark = "\N{SYMBOL FOR SUBSTITUTE}"
        return re.sub(f"{mark}(\\d+){mark}", lambda match: kept[int(match.group(1))], text)

    hidden = OmegaConf.create(_map_text(OmegaConf.to_container(cfg, resolve=False), hide))
    return OmegaConf.to_yaml(OmegaConf.create(_map_text(OmegaConf.to_container(hidden, resolve=True), show)))


def _map_text(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {key: _map_text(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value

"""The frozen config of a run folder: resolved, except for interpolations that read the environment."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from aigc.config.environment import environment_watched


def frozen_yaml(cfg: DictConfig) -> str:
    """Return YAML with interpolations resolved, except those that read the environment, directly or indirectly."""
    with environment_watched() as reads:
        return OmegaConf.to_yaml(OmegaConf.create(_frozen(cfg, reads)))


def _frozen(node: Any, reads: list[str]) -> Any:
    if isinstance(node, DictConfig):
        return {name: _frozen_item(node, name, reads) for name in node}
    return [_frozen_item(node, index, reads) for index in range(len(node))]


def _frozen_item(node: Any, name: Any, reads: list[str]) -> Any:
    reads.clear()
    value = node[name]
    if reads:
        return OmegaConf.to_container(node, resolve=False)[name]  # type: ignore[index]
    return _frozen(value, reads) if isinstance(value, DictConfig | ListConfig) else value

"""Configs that earlier versions froze into run folders."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from aigc.config.monitor import undirected
from aigc.config.renamed import new_name


def update_frozen(cfg: DictConfig) -> None:
    """Update a config that an earlier version froze, in place and with the same meaning.

    Before tasks had monitors, `monitor: null` kept only the last checkpoints. `trainer.overfit_batches` was written
    where it was off. Smaller values of any monitor were better where none said otherwise.
    """
    _rename(cfg)
    if OmegaConf.select(cfg, "trainer.overfit_batches") == 0:
        del cfg.trainer["overfit_batches"]
    if "trainer" in cfg and "limit_evaluation_samples" not in (cfg.get("trainer") or {}):
        checkpoints = OmegaConf.select(cfg, "callbacks.checkpoints")
        if isinstance(checkpoints, DictConfig) and "monitor" in checkpoints and checkpoints.monitor is None:
            checkpoints.keep_best = 0
    plain = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(plain, dict)
    for _, key, choices in undirected(plain):
        OmegaConf.update(cfg, key, choices.partition(" ")[0], force_add=True)


def _rename(node: Any) -> None:
    keys = range(len(node)) if isinstance(node, ListConfig) else list(node)
    for key in keys:
        value = node._get_node(key)
        if isinstance(value, DictConfig | ListConfig):
            if not (value._is_none() or value._is_missing() or value._is_interpolation()):
                _rename(value)
        elif key == "_target_" and isinstance(target := value._value(), str):
            node[key] = new_name(target) or target

"""Names of classes in earlier versions: the new name for a message, and for configs that those versions wrote."""

from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from aigc.config.trees import map_mappings

RENAMED = {
    "aigc.data.streamed.StreamedText": "aigc.data.text.StreamedText",
    "aigc.evaluation.generation.TextGeneration": "aigc.evaluation.TextGeneration",
    "aigc.metrics.text.metrics.": "aigc.metrics.text.",
    "aigc.metrics.image.measures.": "aigc.metrics.image.",
    "aigc.models.gan.": "aigc.models.images.gan.",
    "aigc.tasks.causal_lm.CausalLM": "aigc.tasks.CausalLM",
    "aigc.tasks.gan.GanTask": "aigc.tasks.GanTask",
    "aigc.tasks.schedules.": "aigc.optim.",
}
"""Old name to new name of a class, or of all classes below a module where the name ends with a dot."""


def new_name(target: str) -> str | None:
    """Return the name that a class has now; None where the name is not an old one."""
    for old, new in RENAMED.items():
        if target == old or (old.endswith(".") and target.startswith(old)):
            return new + target[len(old) :]
    return None


def with_new_names(node: Any) -> Any:
    """Return a copy of a plain tree in which each `_target_` has its new name."""
    return map_mappings(node, _with_new_target)


def _with_new_target(node: dict[Any, Any]) -> dict[Any, Any]:
    target = node.get("_target_")
    return node | {"_target_": new_name(target) or target} if isinstance(target, str) else node


def update_frozen(cfg: DictConfig) -> None:
    """Update a config that an earlier version froze, in place and with the same meaning.

    Before tasks had monitors, `monitor: null` kept only the last checkpoints. `trainer.overfit_batches` was written
    where it was off.
    """
    _rename(cfg)
    if OmegaConf.select(cfg, "trainer.overfit_batches") == 0:
        del cfg.trainer["overfit_batches"]
    if "trainer" in cfg and "limit_evaluation_samples" not in (cfg.get("trainer") or {}):
        checkpoints = OmegaConf.select(cfg, "callbacks.checkpoints")
        if isinstance(checkpoints, DictConfig) and "monitor" in checkpoints and checkpoints.monitor is None:
            checkpoints.keep_best = 0


def _rename(node: Any) -> None:
    keys = range(len(node)) if isinstance(node, ListConfig) else list(node)
    for key in keys:
        value = node._get_node(key)
        if isinstance(value, DictConfig | ListConfig):
            if not (value._is_none() or value._is_missing() or value._is_interpolation()):
                _rename(value)
        elif key == "_target_" and isinstance(target := value._value(), str):
            node[key] = new_name(target) or target

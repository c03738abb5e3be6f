"""Names of classes in earlier versions, and their new names."""

from typing import Any

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

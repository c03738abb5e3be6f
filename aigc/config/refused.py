"""Classes of Lightning and torch that do not fit into a run, with the reason and what to use in their place."""

from dataclasses import dataclass

from aigc.config.class_sources import TargetError, find_class
from aigc.config.targets import is_subclass
from aigc.config.types import Slot


@dataclass(frozen=True)
class _Refused:
    target: str
    why: str
    subclasses: bool = True
    """Whether classes that derive from it are refused, too."""

    def covers(self, target: str) -> bool:
        """Whether a class is this one."""
        if self.subclasses:
            return is_subclass(target, self.target) is True
        try:
            return find_class(target) == find_class(self.target)
        except TargetError:
            return False


_FUNCTIONS = "takes functions, which a config cannot hold; derive a schedule of your own from LRScheduler"
_OTHERS = (
    "takes other schedules, which a config cannot nest; aigc.optim.WarmupCosine has a warm-up, and a schedule of your "
    "own that derives from LRScheduler may chain several"
)
_FREEZES = (
    "it unfreezes layers by names that a task does not have; an adapter (model.adapter) trains a part of a model, and "
    "a callback of your own may derive from BaseFinetuning"
)
_FROZEN = "it changes the config of a run that has started; try some values with `aigc sweep {}`"

_REFUSED = {
    "pytorch_lightning.Callback": (
        _Refused(
            "pytorch_lightning.callbacks.Checkpoint",
            "callbacks.checkpoints saves what a run resumes from and keeps the best; set its monitor, mode, "
            "every_n_steps, every_n_minutes, keep or keep_best",
        ),
        _Refused(
            "pytorch_lightning.callbacks.StochasticWeightAveraging",
            "it replaces the weights after they were validated and saved; use "
            "pytorch_lightning.callbacks.EMAWeightAveraging, whose average is what is validated, saved and exported",
        ),
        _Refused(
            "pytorch_lightning.callbacks.GradientAccumulationScheduler",
            "every optimiser step has the same number of batches; set trainer.accumulate_grad_batches",
        ),
        _Refused("pytorch_lightning.callbacks.BaseFinetuning", _FREEZES, subclasses=False),
        _Refused("pytorch_lightning.callbacks.BackboneFinetuning", _FREEZES, subclasses=False),
        _Refused(
            "pytorch_lightning.callbacks.ModelPruning",
            "it replaces weights by masked ones under other names, which neither resume nor load as a model",
        ),
        _Refused("pytorch_lightning.callbacks.BatchSizeFinder", _FROZEN.format("data.batch_size=8,16,32")),
        _Refused("pytorch_lightning.callbacks.LearningRateFinder", _FROZEN.format("optimizer.lr=1e-4,1e-3")),
    ),
    "torch.optim.Optimizer": (
        _Refused("torch.optim.LBFGS", "it computes the loss several times in a step; choose one that needs it once"),
        _Refused("torch.optim.SparseAdam", "it takes sparse gradients alone, and all gradients are dense; choose Adam"),
        _Refused(
            "torch.optim.Muon",
            "it takes matrices alone; aigc.optim.Muon (optimizer=muon) gives it those, and the rest to AdamW",
            subclasses=False,
        ),
    ),
    "torch.optim.lr_scheduler.LRScheduler": (
        _Refused("torch.optim.lr_scheduler.LambdaLR", _FUNCTIONS, subclasses=False),
        _Refused("torch.optim.lr_scheduler.MultiplicativeLR", _FUNCTIONS, subclasses=False),
        _Refused("torch.optim.lr_scheduler.SequentialLR", _OTHERS, subclasses=False),
        _Refused("torch.optim.lr_scheduler.ChainedScheduler", _OTHERS, subclasses=False),
    ),
}
"""By the base class of the slot."""


def refusal(target: str, slot: Slot | None) -> str | None:
    """Return why a class cannot be used in a slot, and what can; None where it may be."""
    if slot is None or target.startswith("aigc."):
        return None
    for refused in _REFUSED.get(slot.expect, ()):
        if refused.covers(target):
            return f"{target} is not supported: {refused.why}"
    return None

"""Changes of what the discriminator is shown: differentiable, on whole batches, on their device.

`DiffAugment` does the same all through the training; `AdaptiveAugment` does as much as the discriminator overfits,
`ScheduledAugment` as much as a schedule says, and `GroupedAugment` as much as one number says. Transforms of one's own
go into a `Pipeline`.
"""

from aigc.augmentation.adaptive import AdaptiveAugment
from aigc.augmentation.base import Augmentation
from aigc.augmentation.diff_augment import DiffAugment
from aigc.augmentation.groups import GroupedAugment
from aigc.augmentation.pipeline import Pipeline, Transform
from aigc.augmentation.scheduled import ScheduledAugment

__all__ = [
    "AdaptiveAugment",
    "Augmentation",
    "DiffAugment",
    "GroupedAugment",
    "Pipeline",
    "ScheduledAugment",
    "Transform",
]

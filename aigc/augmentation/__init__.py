"""Changes of the images that the discriminator sees: differentiable, for whole batches, on the device of the batch.

`DiffAugment` applies the same changes throughout training. `AdaptiveAugment` follows how far the discriminator
overfits, `ScheduledAugment` follows a schedule, and `GroupedAugment` has a fixed probability. Your own transforms go
into a `Pipeline`.
"""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

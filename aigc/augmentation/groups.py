"""The transforms of adaptive discriminator augmentation, in groups that can be left out."""

from typing import Annotated

from aigc.augmentation.blit import blit
from aigc.augmentation.colour import colour
from aigc.augmentation.corruption import cutout, noise
from aigc.augmentation.filtering import filtering
from aigc.augmentation.geometry import geometry
from aigc.augmentation.pipeline import Pipeline, Transform
from aigc.config.types import Bound
from aigc.errors import InputError

GROUPS: dict[str, Transform] = {
    "blit": blit,
    "geometry": geometry,
    "colour": colour,
    "filtering": filtering,
    "noise": noise,
    "cutout": cutout,
}
"""In the order in which they are done."""
Share = Annotated[float, Bound(0, 1)]


class GroupedAugment(Pipeline):
    """The transforms of Karras et al. (2020, "Training generative adversarial networks with limited data").

    Generated images do not take the changes over as long as enough images are left alone: keep the probability below
    about 0.8.

    Args:
        probability: How likely each change is for an image.
        blit: What that is multiplied by for mirroring, quarter turns and moves by whole pixels; 0 leaves them out.
        geometry: Likewise, for scaling, rotation and moves by any amount.
        colour: Likewise, for brightness, contrast, luma, hue and saturation.
        filtering: Likewise, for bands of spatial frequencies made stronger or weaker.
        noise: Likewise, for added noise.
        cutout: Likewise, for a block that is made grey.

    Raises:
        InputError: All groups are left out.
    """

    def __init__(
        self,
        probability: Share,
        blit: Share = 1.0,
        geometry: Share = 1.0,
        colour: Share = 1.0,
        filtering: Share = 0.0,
        noise: Share = 0.0,
        cutout: Share = 0.0,
    ) -> None:
        shares = [blit, geometry, colour, filtering, noise, cutout]
        if not any(shares):
            raise InputError(
                f"{type(self).__name__} would change nothing, as {', '.join(GROUPS)} are all 0. Set one of them to 1."
            )
        groups = zip(GROUPS.values(), shares, strict=True)
        super().__init__([(transform, share) for transform, share in groups if share], probability)

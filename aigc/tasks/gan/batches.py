"""The parts of a batch of images that a GAN trains on one after the other."""

from torch import Tensor

from aigc.errors import InputError
from aigc.printing import plural


def split(images: Tensor, labels: Tensor | None, number: int) -> list[tuple[Tensor, Tensor | None]]:
    """Split a batch into equal parts."""
    of_labels = [None] * number if labels is None else labels.chunk(number)
    return list(zip(images.chunk(number), of_labels, strict=True))


def check_divisible(images: int, n_critic: int, micro_batches: int) -> None:
    """Check that a batch splits into equal parts for the steps of the discriminator, and those into micro-batches.

    Raises:
        InputError: It does not.
    """
    if images % (n_critic * micro_batches):
        raise InputError(
            f"task: a batch of {plural(images, 'image')} cannot be split into {n_critic} (task.n_critic) times "
            f"{micro_batches} "
            "(task.micro_batches) equal parts; change data.batch_size, or set data.batches_per_step to task.n_critic"
        )

"""Streams of random numbers: each depends on a seed and a few whole numbers alone."""

from enum import IntEnum, unique

import numpy as np


@unique
class Stream(IntEnum):
    """What a stream is drawn for: the first number after the seed.

    What data draw, such as the order of samples, has the epoch as its first number. So the first three streams, which
    older results depend on, share numbers with the epochs 0, 1 and 2. A new stream lies above every epoch: it takes the
    next number after `NEIGHBOURS`.
    """

    MEASURED = 0
    """Latents and conditions of images that are measured; then the block of images."""
    STEP = 1
    """All that a GAN draws in a training step; then step and rank."""
    RANK = 2
    """What a rank draws apart from others, such as dropout; then the rank."""
    GRID = 0xFFFFFF01
    """Images of the grid."""
    STRIP = 0xFFFFFF02
    """Ends of interpolations; then the row."""
    NEIGHBOURS = 0xFFFFFF03
    """Images that are shown beside their neighbours."""


def generator(seed: int, *numbers: int) -> np.random.Generator:
    """Return a generator that depends on these numbers alone, for what data draw in an epoch.

    A data set that augments draws from `generator(seed, epoch, index)`: then neither the number of workers nor an
    interruption changes what it gives. Zeros at the end change nothing: (seed, 1) is (seed, 1, 0, 0).
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *numbers])))


def stream_seed(stream: Stream, seed: int, *numbers: int, below: int = 2**62) -> int:
    """Return a seed for another generator, from a stream of its own.

    Args:
        stream: What it is for.
        seed: The seed of the run, or of the part that draws.
        numbers: Which of the draws this is.
        below: The seed is less than this.
    """
    return int(generator(seed, stream, *numbers).integers(below))

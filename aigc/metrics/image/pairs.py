"""One pass over all pairs of two sets of features, in blocks of dot products that several measures share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aigc.metrics.image.inputs import Array, as_features, in_float64
from aigc.printing import plural

_BLOCK = {"cpu": 1024}
_LARGE_BLOCK = 4096
"""Rows and columns of a block; on accelerators fewer and larger ones are faster."""
_ORDINARY = (1e-5, 1e5)
"""Magnitudes of features whose squares and sixth powers float32 holds."""


@dataclass(frozen=True)
class Points:
    """A set of features, and the same relative to the centre of both sets.

    Distances do not depend on where the centre is, and dot products around it are small, so that float32 tells more of
    them apart. Those of the features themselves follow: a·b = dots(a, b) + shift(a) + shift(b) + |centre|².
    """

    features: Tensor
    """As they were given, float32 or float64, of shape (n, dimensions)."""
    centred: Tensor
    """Without the centre, in the dtype of the pass."""
    centre: Tensor
    """Of shape (dimensions,), in the dtype of the pass."""

    def squares(self) -> Tensor:
        """Return squared distances to the centre, float64 of shape (n,)."""
        return torch.cat([rows.square().sum(dim=1) for rows in in_float64(self.centred)])

    def shifts(self) -> Tensor:
        """Return dot products with the centre, float64 of shape (n,)."""
        return torch.cat([rows @ self.centre.double() for rows in in_float64(self.centred)])

    def __len__(self) -> int:
        return len(self.features)


class PairConsumer(ABC):
    """Base class of what visits the pairs of two sets of images: 0 is generated, 1 is real.

    `start` comes first, then all pairs within the sets, then all pairs between them.
    """

    needs_within = True
    """Whether it looks at the pairs within each set; if not, they may be left out."""

    @abstractmethod
    def start(self, sets: tuple[Points, Points]) -> None:
        """Prepare for these sets.

        Raises:
            InputError: They are too small for what is measured.
        """

    @abstractmethod
    def within(self, which: int, rows: slice, columns: slice, dots: Tensor) -> None:
        """Take a block of pairs of one set. A block on the diagonal (rows == columns) holds each pair twice.

        Of the other pairs each comes once: a block serves its rows, and turned over its columns.

        Args:
            which: The set.
            rows: Images, by their numbers.
            columns: Images; they start where the rows do, or after their end.
            dots: Dot products of the centred features, of shape (rows, columns). Not to be changed.
        """

    @abstractmethod
    def between(self, rows: slice, columns: slice, dots: Tensor) -> None:
        """Take a block of pairs between the sets: rows of generated images, columns of real ones."""


def visit_pairs(generated: Array, real: Array, consumers: Sequence[PairConsumer]) -> None:
    """Pass all pairs to all consumers: n²/2 + m²/2 + nm dot products, whatever the number of consumers.

    The dot products are of float32 where features of both sets are, else of float64. They are of float64 too where
    float32 products are set to a reduced precision (TF32, bfloat16), and where features are so large or small that
    their powers do not fit. Memory: a centred copy of the features, and some blocks of 1024 x 1024 (4096 x 4096 on an
    accelerator).

    Args:
        generated: Features, of shape (n, dimensions), on any device: the pass takes place there.
        real: Features, of shape (m, dimensions).
        consumers: What looks at the pairs; results are theirs.

    Raises:
        TypeError: Features are not a floating-point array or tensor.
        ValueError: Shapes do not fit.
        InputError: There are fewer than two images, or too few for a consumer, or features are not finite.
    """
    sets = _centre(as_features(generated, "generated"), as_features(real, "real"))
    device = sets[0].features.device.type
    # Autocast would round float32 products to half precision.
    with torch.autocast(device, enabled=False):
        for consumer in consumers:
            consumer.start(sets)
        inner = [consumer for consumer in consumers if consumer.needs_within]
        size = _BLOCK.get(device, _LARGE_BLOCK)
        for which, points in enumerate(sets if inner else ()):
            for rows in _blocks(0, len(points), size):
                for columns in _blocks(rows.start, len(points), size):
                    dots = points.centred[rows] @ points.centred[columns].T
                    for consumer in inner:
                        consumer.within(which, rows, columns, dots)
        for rows in _blocks(0, len(sets[0]), size):
            for columns in _blocks(0, len(sets[1]), size):
                dots = sets[0].centred[rows] @ sets[1].centred[columns].T
                for consumer in consumers:
                    consumer.between(rows, columns, dots)


def _centre(generated: Tensor, real: Tensor) -> tuple[Points, Points]:
    if generated.shape[1] != real.shape[1]:
        raise ValueError(
            f"generated: features have {plural(generated.shape[1], 'dimension')}, but those of real have "
            f"{real.shape[1]}: "
            "measure both with one extractor"
        )
    real = real.to(generated.device)
    dtype = torch.float32 if _float32_suffices(generated, real) else torch.float64
    total = generated.sum(dim=0, dtype=torch.float64) + real.sum(dim=0, dtype=torch.float64)
    centre = (total / (len(generated) + len(real))).to(dtype)
    return Points(generated, generated.to(dtype) - centre, centre), Points(real, real.to(dtype) - centre, centre)


def _float32_suffices(generated: Tensor, real: Tensor) -> bool:
    if generated.dtype != torch.float32 or real.dtype != torch.float32:
        return False
    try:
        precise = torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # it was set for one backend, and has no single answer
        precise = False
    least, most = _ORDINARY
    largest = max(max(float(rows.max()), -float(rows.min())) for rows in (generated, real))
    return precise and least <= largest <= most


def _blocks(start: int, stop: int, size: int) -> Iterator[slice]:
    for begin in range(start, stop, size):
        yield slice(begin, min(begin + size, stop))

"""The base class of image sets: numbered, named, read one by one, and identified by a hash of their bytes."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aigc.errors import InputError

ImageArray = NDArray[np.uint8]
"""uint8 of shape (height, width, 3): red, green, blue."""

Labels = NDArray[np.int64]


class Images(ABC):
    """Images in an order, of any sizes. Reading is safe in several threads at once.

    Attributes:
        name: The name of the set in messages.
        labels: The class of each image, int64 of shape (n,), from 0; None without classes.
        classes: The names of the classes, by label; empty without classes.
        labels_from: What the classes are in the set, for messages.
        label_error: What is wrong with a file of labels beside the images, which have no labels then; an error only
            where labels are used.
    """

    name: str
    labels: Labels | None = None
    classes: tuple[str, ...] = ()
    labels_from: str = "classes"
    label_error: InputError | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images, whether or not they can be read."""

    @abstractmethod
    def name_of(self, index: int) -> str:
        """Return where an image is, for messages."""

    @abstractmethod
    def read(self, index: int) -> ImageArray:
        """Read an image; the caller owns the array.

        Raises:
            InputError: It cannot be read or decoded.
        """

    @abstractmethod
    def _hash_all(self) -> list[str]:
        """Compute `hashes` of the bytes as they are now."""

    @cached_property
    def hashes(self) -> list[str]:
        """For each image the SHA-256 of what it is read from; computed once."""
        return self._hash_all()

    def fingerprint(self) -> str:
        """Return a SHA-256 over the images' bytes in order, and their labels.

        Names count only as far as they decide the order, and the location of the set does not count. Files are hashed
        as they are, so that an image saved anew in another format is another one; images that lie in an array are
        hashed as pixels. Another treatment of alpha than dropping it counts too.

        Raises:
            InputError: A file cannot be read.
        """
        total = hashlib.sha256("\n".join(self.hashes).encode())
        if self.labels is not None:
            total.update(b"\nlabels\n" + self.labels.astype("<i8").tobytes())
        return total.hexdigest()

    def has_changed(self) -> bool:
        """Whether the bytes differ from those that `fingerprint` has seen."""
        return self._hash_all() != self.hashes

    def subset(self, indices: Sequence[int] | slice) -> "Images":
        """Return some of the images, in the order given; the classes stay what they are."""
        chosen = range(len(self))[indices] if isinstance(indices, slice) else indices
        return Subset(self, chosen)


class Subset(Images):
    """Some images of a set.

    Args:
        whole: The set.
        indices: Which of its images.
    """

    def __init__(self, whole: Images, indices: Sequence[int]) -> None:
        self.whole = whole
        self.indices = list(indices)
        self.name = whole.name
        self.classes = whole.classes
        self.labels_from = whole.labels_from
        self.label_error = whole.label_error
        self.labels = None if whole.labels is None else whole.labels[np.asarray(self.indices, np.int64)]

    def __len__(self) -> int:
        return len(self.indices)

    def name_of(self, index: int) -> str:
        """Return its name in the whole set."""
        return self.whole.name_of(self.indices[index])

    def read(self, index: int) -> ImageArray:
        """Read an image of the whole set."""
        return self.whole.read(self.indices[index])

    def _hash_all(self) -> list[str]:
        hashes = self.whole._hash_all()
        return [hashes[index] for index in self.indices]

    @cached_property
    def hashes(self) -> list[str]:
        """Those of the whole set, which are computed once for all its subsets."""
        return [self.whole.hashes[index] for index in self.indices]

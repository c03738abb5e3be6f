"""Base classes of feature extractors."""

import hashlib
from abc import ABC, abstractmethod
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from aigc.errors import InputError
from aigc.metrics.image.extractors.pixels import as_rgb, resize
from aigc.metrics.image.extractors.precision import full_precision
from aigc.printing import plural


class Extracted(NamedTuple):
    """Output of an extractor for n images.

    Attributes:
        features: float32 (n, dimensions).
        logits: float32 (n, classes); None where the network has no classes.
    """

    features: Tensor
    logits: Tensor | None


class Extractor(nn.Module, ABC):
    """Base class of extractors: a fixed network with its own preprocessing.

    Features do not depend on what surrounds them: the network is always in evaluation mode, in float32 without TF32 and
    autocast, and without gradients. A kind sets the attributes and has an `extract`.

    Attributes:
        name: Part of a metric's name: `fid_clip`.
        dimensions: Numbers in a feature.
        classes: How many classes there are logits of; None for none.
        preprocessing: What happens to an image before the network, shortly. It is part of `identity`, so features in
            caches are found by it: change it together with the preprocessing.
    """

    name: str
    dimensions: int
    classes: int | None = None
    preprocessing: str = "none"

    @abstractmethod
    def extract(self, images: Tensor) -> Extracted:
        """Preprocess images and apply the network.

        Args:
            images: uint8 (n, 3, height, width) from 0 to 255 with n > 0, on the device of the network.
        """

    @torch.no_grad()
    def forward(self, images: Tensor) -> Extracted:
        """Extract features from images.

        Args:
            images: uint8 (n, channels, height, width) from 0 to 255, of any size; 1 channel is grey, 2 are grey and
                alpha, 3 are RGB, 4 are RGBA. Alpha is dropped. They may be on another device than the network.

        Raises:
            InputError: The images are not of this kind, or the network's answer has another shape than it declares.
        """
        pixels = as_rgb(images)
        device = next((tensor.device for tensor in (*self.parameters(), *self.buffers())), pixels.device)
        if len(pixels) == 0:
            logits = None if self.classes is None else torch.zeros(0, self.classes, device=device)
            return Extracted(torch.zeros(0, self.dimensions, device=device), logits)
        self.eval()  # parts added by a subclass since are in training mode
        with full_precision(device.type):
            features, logits = self.extract(pixels.to(device))
        self._check(len(pixels), features, logits)
        return Extracted(features.float(), None if logits is None else logits.float())

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    @property
    def identity(self) -> str:
        """SHA-256 over name, preprocessing, classes and layers, and all weights: the key of features in caches."""
        described = f"{self.name}|{self.preprocessing}|{type(self).__module__}.{type(self).__qualname__}|{self!r}|"
        return hashlib.sha256(described.encode() + self.weights_digest().encode()).hexdigest()

    @property
    def description(self) -> str:
        """For signatures: name, preprocessing, and the first 8 digits of a hash of the weights."""
        return f"{self.name}|{self.preprocessing}|weights:{self.weights_digest()[:8]}"

    @property
    def suffix(self) -> str:
        """Suffix of a score's name: empty for the published Inception network, whose score is a plain `fid`."""
        return f"_{self.name}"

    @property
    def is_reference(self) -> bool:
        """Whether these are the published weights, known by their checksum."""
        return False

    def weights_digest(self) -> str:
        """Return a SHA-256 over names, types, shapes and bytes of all parameters and buffers, wherever they are."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def _check(self, count: int, features: Tensor, logits: Tensor | None) -> None:
        shapes = (tuple(features.shape), None if logits is None else tuple(logits.shape))
        declared = ((count, self.dimensions), None if self.classes is None else (count, self.classes))
        if shapes != declared:
            raise InputError(
                f"extractor {self.name}: {plural(count, 'image')} gave features of shape {shapes[0]} and logits "
                f"of {shapes[1]}; "
                f"it declares {declared[0]} and {declared[1]} (dimensions={self.dimensions}, classes={self.classes})."
            )


class ModuleExtractor(Extractor):
    """An extractor around your own network.

    Args:
        module: Takes float32 (n, 3, height, width); returns features (n, dimensions), or features and logits.
        name: Part of a metric's name: `fid_faces`.
        dimensions: Numbers in a feature.
        classes: How many classes the module gives logits of; None when it returns features alone.
        low: What black is for the module.
        high: What white is for the module.
        size: Number of pixels a side that images are resized to, bicubic and antialiased; None leaves them as they are.

    Raises:
        InputError: The name is not a valid suffix of a metric's name, or the size is not positive.
    """

    def __init__(
        self,
        module: nn.Module,
        name: str,
        dimensions: int,
        classes: int | None = None,
        low: float = -1.0,
        high: float = 1.0,
        size: int | None = None,
    ) -> None:
        super().__init__()
        if not name.isidentifier():
            raise InputError(f"extractor name {name!r}: a name is letters, digits and underscores, as in fid_faces.")
        if size is not None and size < 1:
            raise InputError(f"extractor {name}: size={size}; it is a number of pixels, or null.")
        self.module = module
        self.name, self.dimensions, self.classes = name, dimensions, classes
        self.low, self.high, self.size = low, high, size
        resized = "none" if size is None else f"bicubic{size}"
        self.preprocessing = f"resize:{resized}|range:{low:g},{high:g}"
        self.eval()

    def extract(self, images: Tensor) -> Extracted:
        """Resize, bring into the module's range, and apply the module."""
        pixels = images.float() if self.size is None else resize(images, self.size)
        found = self.module(pixels / 255 * (self.high - self.low) + self.low)
        return Extracted(found, None) if isinstance(found, Tensor) else Extracted(*found)

"""Conditioning on classes, and the output layer of discriminators."""

from typing import Literal

import torch
from torch import Tensor, nn

from aigc.models.images.gan.base import DiscriminatorOutput
from aigc.models.images.gan.parts import Initialisation, initialised, spectral
from aigc.printing import plural

Conditioning = Literal["projection", "auxiliary"]


def needed(labels: Tensor | None, classes: int) -> Tensor:
    """Return the labels, which a network with classes needs.

    Raises:
        ValueError: There are none.
    """
    if labels is None:
        raise ValueError(
            f"labels are missing: this network is conditioned on {plural(classes, 'class')}; give int64 of shape (n,)"
        )
    return labels


class JoinedEmbedding(nn.Module):
    """Joins a learned vector of the class to latents (Mirza and Osindero, 2014).

    Normalisation alone cannot tell classes apart before its gains and shifts have learnt to; this does from the start.

    Args:
        classes: 0 for none, which leaves latents as they are.
        size: Of the vector; 0 for none.

    Attributes:
        added: By how much latents grow.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.classes = classes
        self.added = size if classes else 0
        self.embedding = nn.Embedding(classes, size) if self.added else None

    def forward(self, latents: Tensor, labels: Tensor | None) -> Tensor:
        """Map (n, size) to (n, size + added).

        Raises:
            ValueError: Labels are missing.
        """
        if self.embedding is None:
            return latents
        return torch.cat([latents, self.embedding(needed(labels, self.classes))], dim=1)


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation whose gain and shift depend on a condition (Dumoulin et al., 2017; de Vries et al., 2017).

    Gains are 1 and shifts 0 plus something linear in a vector, or something of each class that starts at 0.

    Args:
        features: Feature maps.
        classes: Number of classes when the condition is a label; 0 for none, which is plain batch normalisation, and
            None for a vector.
        embedding: Width of that vector (Brock et al., 2019).
        spectral_norm: Normalise what makes gain and shift of a vector.
    """

    def __init__(
        self, features: int, classes: int | None = 0, embedding: int = 0, *, spectral_norm: bool = False
    ) -> None:
        super().__init__()
        self.classes = classes
        self.normalise = nn.BatchNorm2d(features, affine=classes == 0)
        self.gain: nn.Module
        self.shift: nn.Module
        if classes is None:
            self.gain = spectral(initialised(nn.Linear(embedding, features, bias=False), "orthogonal"), spectral_norm)
            self.shift = spectral(initialised(nn.Linear(embedding, features, bias=False), "orthogonal"), spectral_norm)
        elif classes:
            self.gain = initialised(nn.Embedding(classes, features), "zeros")
            self.shift = initialised(nn.Embedding(classes, features), "zeros")

    def forward(self, maps: Tensor, condition: Tensor | None = None) -> Tensor:
        """Normalise.

        Args:
            maps: (n, features, height, width).
            condition: Labels, int64 (n,), or vectors, (n, embedding); ignored where there are no classes.

        Raises:
            ValueError: The condition is missing.
        """
        normal: Tensor = self.normalise(maps)
        if self.classes == 0:
            return normal
        if condition is None:
            raise ValueError("the condition is missing: give labels, int64 (n,), or vectors, (n, embedding)")
        gain, shift = (made(condition).to(normal.dtype)[:, :, None, None] for made in (self.gain, self.shift))
        return torch.addcmul(shift, normal, 1 + gain)


class Head(nn.Module):
    """The last layer of a discriminator: from features of an image to its output, in full precision.

    A projection (Miyato and Koyama, 2018) adds to the logit the inner product of features and class embedding; an
    auxiliary classifier (Odena et al., 2017) says the class. The discriminator learns that of real images alone, unlike
    in the paper: what a generator makes of a class at first is not an example of it.

    Args:
        features: Features of an image.
        classes: 0 for none.
        conditioning: What is done with classes.
        spectral_norm: Normalise all weights.
        initialisation: See `initialised`.
    """

    def __init__(
        self,
        features: int,
        classes: int = 0,
        conditioning: Conditioning = "projection",
        spectral_norm: bool = False,
        initialisation: Initialisation = "xavier",
    ) -> None:
        super().__init__()
        self.classes = classes
        self.logit = spectral(initialised(nn.Linear(features, 1), initialisation), spectral_norm)
        self.embedding: nn.Module | None = None
        self.classifier: nn.Module | None = None
        if classes and conditioning == "projection":
            self.embedding = spectral(initialised(nn.Embedding(classes, features), initialisation), spectral_norm)
        elif classes:
            self.classifier = spectral(initialised(nn.Linear(features, classes), initialisation), spectral_norm)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Compute the output.

        Args:
            features: (n, features).
            labels: int64 (n,); only a projection looks at them.

        Raises:
            ValueError: A projection has no labels.
        """
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.logit.bias.dtype)
            logits = self.logit(features).squeeze(1)
            if self.embedding is not None:
                logits = logits + (self.embedding(needed(labels, self.classes)) * features).sum(1)
            return DiscriminatorOutput(logits, classes=None if self.classifier is None else self.classifier(features))

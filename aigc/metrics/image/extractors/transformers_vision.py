"""Vision transformers of the Transformers library as extractors: CLIP and DINOv2."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.extractors.base import Extracted, Extractor
from aigc.metrics.image.extractors.pixels import resize
from aigc.metrics.image.extractors.weights import is_offline
from aigc.printing import plural


class VisionTransformer(Extractor):
    """Base class: loading, and normalisation of pixels as in the training of the network.

    Attributes:
        mean: Of the colours of the training images, from 0 to 1.
        deviation: Their standard deviation.
    """

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]

    def __init__(self, kind: Any, path: str) -> None:
        super().__init__()
        self.network: Any = _load(kind, path, self.name)
        self._digest = ""
        self.requires_grad_(False).eval()

    @abstractmethod
    def resized(self, images: Tensor) -> Tensor:
        """Return images of the network's own size, float32 from 0 to 255."""

    @abstractmethod
    def embed(self, pixels: Tensor) -> Tensor:
        """Return features of what the network takes."""

    def preprocess(self, images: Tensor) -> Tensor:
        """Resize and normalise; float32 (n, 3, size, size)."""
        mean, deviation = (torch.tensor(row, device=images.device).view(3, 1, 1) for row in (self.mean, self.deviation))
        return (self.resized(images) / 255 - mean) / deviation

    def extract(self, images: Tensor) -> Extracted:
        """Preprocess and embed; there are no classes."""
        return Extracted(self.embed(self.preprocess(images)), None)

    def weights_digest(self) -> str:
        """Return the digest as of every extractor, computed once: these networks are large."""
        self._digest = self._digest or super().weights_digest()
        return self._digest


class CLIP(VisionTransformer):
    """CLIP's image embeddings after the projection, not normalised (Radford et al., 2021).

    These are the features that torch-fidelity takes from CLIP; CMMD (Jayasumana et al., 2024) divides them by their
    lengths. Preprocessing is CLIP's own: the short side is resized to the network's size, bicubic and antialiased, and
    the middle is cut out.

    Args:
        path: A folder in Transformers' layout, or a name on the Hugging Face Hub, as
            openai/clip-vit-large-patch14-336, which CMMD uses.

    Raises:
        InputError: There is no such model, it cannot be fetched, or it is another network.
    """

    name = "clip"
    mean = (0.48145466, 0.4578275, 0.40821073)
    deviation = (0.26862954, 0.26130258, 0.27577711)

    def __init__(self, path: str = "openai/clip-vit-base-patch32") -> None:
        super().__init__(transformers.CLIPVisionModelWithProjection, path)
        self.size: int = self.network.config.image_size
        self.dimensions = self.network.config.projection_dim
        self.preprocessing = f"resize:bicubic{self.size}-crop"

    def resized(self, images: Tensor) -> Tensor:
        """Resize the short side to the network's size, and return the middle."""
        height, width = images.shape[2:]
        short = min(height, width)
        height, width = (int(self.size * side / short) for side in (height, width))
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return resize(images, height, width)[:, :, top : top + self.size, left : left + self.size]

    def embed(self, pixels: Tensor) -> Tensor:
        """Return the projected embedding."""
        embedded: Tensor = self.network(pixel_values=pixels).image_embeds
        return embedded


class DINOv2(VisionTransformer):
    """DINOv2's class token after the last normalisation: the features of FD-DINOv2 (Stein et al., 2023).

    The defaults follow dgm-eval and EDM2: ViT-L/14, images stretched to 224 pixels a side, bicubic and antialiased.
    Transformers' interpolation of the position embeddings differs a little from that of DINOv2's own code, so that the
    last digits of a distance may too.

    Args:
        path: A folder in Transformers' layout, or a name on the Hugging Face Hub, as facebook/dinov2-base.

    Raises:
        InputError: There is no such model, it cannot be fetched, or it is another network.
    """

    name = "dinov2"
    preprocessing = "resize:bicubic224"
    mean = (0.485, 0.456, 0.406)
    deviation = (0.229, 0.224, 0.225)

    def __init__(self, path: str = "facebook/dinov2-large") -> None:
        super().__init__(transformers.Dinov2Model, path)
        self.dimensions = self.network.config.hidden_size

    def resized(self, images: Tensor) -> Tensor:
        """Stretch the whole image to 224 pixels a side."""
        return resize(images, 224)

    def embed(self, pixels: Tensor) -> Tensor:
        """Return the class token."""
        token: Tensor = self.network(pixel_values=pixels).pooler_output
        return token


def _load(kind: Any, path: str, name: str) -> Any:
    """Load a pretrained network in float32; all its weights come from the files."""
    try:
        with torch.random.fork_rng(devices=[]), _quietly():
            network, info = kind.from_pretrained(
                path, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
            )
    except Exception as error:  # the Hub's client raises its transport's own errors too
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        off = " The Hub is switched off (HF_HUB_OFFLINE)." if is_offline() else ""
        raise InputError(
            f"extractor {name}: {path} is neither a folder with a model nor one that can be fetched.{off} Give a "
            f"folder by extractor.path=FOLDER, or fetch the model where there is a network and copy the "
            f"Hub's cache (HF_HOME). ({reason})"
        ) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise InputError(
            f"extractor {name}: {path} holds no weights for {plural(len(missing), 'part')} of {kind.__name__}, as "
            f"{missing[0]}: "
            "it is another network."
        )
    return network


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress the table of the other half's weights that Transformers prints, and its progress bar."""
    logs = transformers.utils.logging
    level, bar = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(level)
        if bar:
            logs.enable_progress_bar()

"""The Inception network that FID, KID and the Inception Score are defined with."""

import io

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from aigc.metrics.image.extractors.base import Extracted, Extractor
from aigc.metrics.image.extractors.weights import Published, find, load, loading
from aigc.runs.files import sha256_file

PUBLISHED = Published(
    "the weights of the Inception network of 2015-12-05",
    # pytorch-fid and torch-fidelity publish the same file under two names.
    ("weights-inception-2015-12-05-6726825d.pth", "pt_inception-2015-12-05-6726825d.pth"),
    URL_INCEPTION_V3,
    "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
)


class Inception(Extractor):
    """The Inception-v3 of 2015-12-05, converted from TensorFlow; torch-fidelity's own network (Heusel et al., 2017).

    Features are the 2048 outputs of the last pooling, logits the 1008 without the bias of the last layer, as the
    Inception Score takes them. Resizing to 299 pixels is TensorFlow 1's: bilinear, without half-pixel centres and
    without antialiasing. With other weights than the published ones `is_reference` is false, and scores have the
    suffix `_other_inception`.

    Args:
        weights_path: A file of weights, or a folder that holds the published file; null looks into the file or folder
            that the environment variable AIGC_WEIGHTS names, then into torch's cache, then downloads 96 MB.

    Raises:
        InputError: The weights are not there and cannot be fetched, or are not of this network.
        AigcError: Something else than the published weights was downloaded.
    """

    name = "inception"
    dimensions = 2048
    classes: int | None = 1008
    preprocessing = "resize:tf1"

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        path = find(PUBLISHED, weights_path)
        self._digest = sha256_file(path)
        with loading(path, "the Inception network"):
            network = _network(load(path))
        self.network = network.to(memory_format=torch.channels_last)  # 1.4 times faster on a CPU
        self.eval()

    def extract(self, images: Tensor) -> Extracted:
        """Apply the network, whose first step is the resizing."""
        features, logits = self.network(images)
        return Extracted(features, logits)

    @property
    def is_reference(self) -> bool:
        """Whether these are the published weights."""
        return self._digest == PUBLISHED.digest

    @property
    def suffix(self) -> str:
        """Nothing for the published weights."""
        return "" if self.is_reference else f"_other_{self.name}"

    @property
    def description(self) -> str:
        """`inception-2015-12-05|resize:tf1|weights:6726825d`; other weights have no date, and digits of their own."""
        name = f"{self.name}-2015-12-05" if self.is_reference else self.name
        return f"{name}|{self.preprocessing}|weights:{self._digest[:8]}"


def _network(state: dict[str, Tensor]) -> torch.nn.Module:
    # Its constructor unpickles a file without weights_only: it is given a copy of what was read safely.
    copied = io.BytesIO()
    torch.save(state, copied)
    copied.seek(0)
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights, which must not change a training's
        network: torch.nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=copied
        )
    return network

"""A file of random weights for the Inception network, as good as the published ones for comparing two programs."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3


def write_weights(path: Path) -> Path:
    """Random weights that keep the size of a signal, so that features tell images apart."""
    empty = path.with_name("empty.pth")
    with torch.random.fork_rng(devices=[]), pytest.MonkeyPatch.context() as patch:
        torch.manual_seed(0)
        torch.save({}, empty)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(empty))
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
    torch.save(network.state_dict(), path)
    return path

"""The Inception network against torch-fidelity, with one file of random weights for both sides."""

import hashlib
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from aigc.config.build import build
from aigc.errors import InputError
from aigc.metrics.image.extractors import Extractor
from tests.unit.metrics.random_inception import write_weights

pytestmark = pytest.mark.slow
PICTURES = [
    ("L", 8, 8),
    ("LA", 31, 17),
    ("RGB", 1, 1),
    ("RGB", 32, 32),
    ("RGBA", 64, 100),
    ("RGB", 299, 299),
    ("L", 400, 301),
]
"""Mode, width, height."""


@pytest.fixture(scope="module")
def inception() -> ModuleType:
    """The module, imported late: torch_fidelity takes seconds."""
    return import_module("aigc.metrics.image.extractors.inception")


@pytest.fixture(scope="module")
def weights(inception: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def extractor(inception: ModuleType, weights: Path) -> Extractor:
    return inception.Inception(str(weights))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images of some modes and sizes: colours that change smoothly, and noise."""
    folder, chance = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number, (mode, width, height) in enumerate(PICTURES):
        down, right = np.mgrid[:height, :width]
        smooth = [(1 + np.sin(down / (3 + number) + band) * np.cos(right / (2 + band))) * 100 for band in range(4)]
        pixels = np.stack(smooth, -1)[..., : len(mode)] + chance.uniform(0, 55, (height, width, len(mode)))
        Image.fromarray(pixels.astype(np.uint8).squeeze(-1) if mode == "L" else pixels.astype(np.uint8)).save(
            folder / f"{number}.png"
        )
    return sorted(folder.iterdir())


def read(path: Path) -> Tensor:
    """The channels that the file has."""
    pixels = np.asarray(Image.open(path))
    return torch.from_numpy(pixels.copy()).view(*pixels.shape[:2], -1).permute(2, 0, 1)[None]


def relative(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max())


def test_features_and_logits_are_torch_fidelitys(
    inception: ModuleType, extractor: Extractor, weights: Path, files: list[Path]
) -> None:
    layers = ["2048", "logits_unbiased"]
    reference = inception.FeatureExtractorInceptionV3("inception-v3-compat", layers, str(weights))
    images = import_module("torch_fidelity.datasets").ImagesPathDataset([str(path) for path in files])
    theirs = [reference(images[number][None]) for number in range(len(files))]
    ours = [extractor(read(path)) for path in files]
    assert [Image.open(path).mode for path in files] == [mode for mode, *_ in PICTURES]
    features, logits = (torch.cat(parts) for parts in zip(*ours, strict=True))
    expected, expected_logits = (torch.cat(parts) for parts in zip(*theirs, strict=True))
    assert relative(features, expected) < 1e-5
    assert relative(logits, expected_logits) < 1e-5
    # The images differ by much more than that, and another resize would be seen.
    assert float(expected.std(0).norm() / expected.mean(0).norm()) > 0.05
    half_pixel = nn.functional.interpolate(read(files[3]).float(), size=(299, 299), mode="bilinear")
    assert relative(extractor(half_pixel.round().byte()).features, expected[3:4]) > 1e-3


def test_an_image_has_the_same_features_in_any_batch(extractor: Extractor, files: list[Path]) -> None:
    images = read(files[3]).roll(1, 1).repeat(7, 1, 1, 1)
    for index in range(7):
        images[index, index % 3, index] = 255
    together = extractor(images).features
    alone = torch.cat([extractor(images[index : index + 1]).features for index in (0, 6)])
    assert relative(together[[0, 6]], alone) < 1e-5
    assert relative(together[[1, 5]], alone) > 1e-3


def test_other_weights_are_named_honestly(extractor: Extractor, weights: Path) -> None:
    digits = hashlib.sha256(weights.read_bytes()).hexdigest()[:8]
    assert not extractor.is_reference
    assert extractor.suffix == "_other_inception"
    assert extractor.description == f"inception|resize:tf1|weights:{digits}"
    assert len(extractor.identity) == 64
    assert not any(part.training for part in extractor.modules())
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_the_published_weights_have_no_suffix(
    inception: ModuleType, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is known by its hash, wherever it lies."""
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setattr(inception, "PUBLISHED", replace(inception.PUBLISHED, digest=digest))
    before = torch.get_rng_state()
    extractor = build(
        {"_target_": "aigc.metrics.image.extractors.Inception", "weights_path": str(weights)}, expect=Extractor
    )
    assert extractor.is_reference
    assert extractor.suffix == ""
    assert extractor.description.startswith("inception-2015-12-05|resize:tf1|weights:")
    assert torch.equal(torch.get_rng_state(), before)


def test_without_weights_and_network_a_person_learns_what_to_do(
    inception: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.delenv("AIGC_WEIGHTS", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError) as raised:
        inception.Inception()
    for part in ("Inception network of 2015-12-05 are not here", "weights_path=FILE", "AIGC_WEIGHTS", "efficientnet"):
        assert part in str(raised.value)
    assert inception.PUBLISHED.url.rpartition("/")[2] in inception.PUBLISHED.names
    assert all(name.endswith(f"-{inception.PUBLISHED.digest[:8]}.pth") for name in inception.PUBLISHED.names)


def test_weights_of_another_network_are_refused(inception: ModuleType, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "line.pth")
    with pytest.raises(InputError, match=r'line\.pth: these are not weights of the Inception.*Unexpected.*"bias"'):
        inception.Inception(str(tmp_path / "line.pth"))

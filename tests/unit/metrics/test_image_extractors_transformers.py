"""CLIP and DINOv2 through Transformers: tiny random networks, and the preprocessing of Transformers' own processors."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor

from aigc.errors import InputError
from aigc.metrics.image.extractors.transformers_vision import CLIP, DINOv2
from tests.unit.metrics.test_image_extractors_pixels import SIZES, image

pytestmark = pytest.mark.slow
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
LEVEL = 1 / 255 / 0.224
"""One grey level after the normalisation, at most."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks with random weights: `clip`, `bare` without the projection, `whole` with a text half, and `dinov2`."""
    place = tmp_path_factory.mktemp("networks")
    shape = {**TINY, "intermediate_size": 64, "projection_dim": 16}
    vision = transformers.CLIPVisionConfig(**shape, image_size=224, patch_size=56)
    text = transformers.CLIPTextConfig(**shape, vocab_size=50, bos_token_id=0, eos_token_id=1)
    both = transformers.CLIPConfig(vision_config=vision.to_dict(), text_config=text.to_dict(), projection_dim=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, network in {
            "clip": transformers.CLIPVisionModelWithProjection(vision),
            "bare": transformers.CLIPVisionModel(vision),
            "whole": transformers.CLIPModel(both),
            "dinov2": transformers.Dinov2Model(transformers.Dinov2Config(**TINY, image_size=70, patch_size=14)),
        }.items():
            network.save_pretrained(place / name)
    return place


def processed(processor: Callable, images: Tensor) -> Tensor:
    return processor(Image.fromarray(images[0].permute(1, 2, 0).numpy()), return_tensors="pt")["pixel_values"]


def assert_near(found: Tensor, processors: list[Callable], images: Tensor) -> None:
    """As Pillow has it but for some pixels that are off by a level, and as torchvision has it but for two levels."""
    for processor, levels in zip(processors, (1.01, 2.02), strict=True):
        off = (found - processed(processor, images)).abs() / LEVEL
        assert float(off.max()) < levels
        assert float(off.mean()) < 0.01


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_clip_sees_what_transformers_processors_make(size: tuple[int, int], folder: Path) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # takes seconds

    images = image(*size)
    found = CLIP(str(folder / "clip")).preprocess(images)
    assert found.shape == (1, 3, 224, 224)
    assert_near(found, [CLIPImageProcessorPil(), transformers.CLIPImageProcessor()], images)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dinov2_sees_what_the_references_make(size: tuple[int, int], folder: Path) -> None:
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil

    images = image(*size)
    extractor = DINOv2(str(folder / "dinov2"))
    whole = {"size": {"height": 224, "width": 224}, "do_center_crop": False}
    colours = {"image_mean": extractor.mean, "image_std": extractor.deviation}
    kinds = (BitImageProcessorPil, transformers.BitImageProcessor)
    assert_near(extractor.preprocess(images), [kind(**whole, **colours) for kind in kinds], images)


def test_without_antialiasing_the_processors_would_differ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Negative control."""
    images = image(301, 257)
    plain = torch.nn.functional.interpolate
    theirs = processed(transformers.CLIPImageProcessor(), images)
    monkeypatch.setattr(torch.nn.functional, "interpolate", lambda *a, **k: plain(*a, **{**k, "antialias": False}))
    assert float((CLIP(str(folder / "clip")).preprocess(images) - theirs).abs().max()) > 10 * LEVEL


@pytest.mark.parametrize("name", ["clip", "whole"])
def test_clip_gives_the_projected_embedding(name: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    extractor = CLIP(str(folder / name))
    assert torch.equal(torch.get_rng_state(), before)
    assert capfd.readouterr() == ("", "")
    images = torch.cat([image(30, 40), image(30, 40).flip(3)])
    features, logits = extractor(images)
    network = transformers.CLIPVisionModelWithProjection.from_pretrained(folder / name).eval()
    with torch.no_grad():
        expected = network(extractor.preprocess(images)).image_embeds
    assert torch.allclose(features, expected, atol=1e-6)
    assert features.shape == (2, extractor.dimensions) == (2, 16)
    assert logits is None
    assert extractor.description == f"clip|resize:bicubic224-crop|weights:{extractor.weights_digest()[:8]}"
    assert extractor.suffix == "_clip"
    assert not extractor.is_reference


def test_dinov2_gives_the_class_token(folder: Path) -> None:
    extractor = DINOv2(str(folder / "dinov2"))
    images = image(30, 40)
    network = transformers.Dinov2Model.from_pretrained(folder / "dinov2").eval()
    with torch.no_grad():
        expected = network(extractor.preprocess(images)).last_hidden_state[:, 0]
    features, logits = extractor(images)
    assert torch.allclose(features, expected, atol=1e-6)
    assert features.shape == (1, extractor.dimensions) == (1, 32)
    assert logits is None
    assert extractor.identity == DINOv2(str(folder / "dinov2")).identity
    assert not any(part.training for part in extractor.modules())


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (CLIP, "bare", r"no weights for 1 part of CLIPVision\w+, as visual_projection\.weight: it is another network"),
        (CLIP, "dinov2", r"no weights for \d+ parts of CLIPVision"),
        (DINOv2, "clip", r"no weights for \d+ parts of Dinov2Model"),
        (DINOv2, "", "is neither a folder with a model nor one that can be fetched"),
    ],
)
def test_another_network_is_refused(kind: type, name: str, message: str, folder: Path) -> None:
    with pytest.raises(InputError, match=message):
        kind(str(folder / name))


@pytest.mark.parametrize(("kind", "model"), [(CLIP, "openai/clip-vit-base-patch32"), (DINOv2, "facebook/dinov2-large")])
def test_without_the_model_and_network_a_person_learns_what_to_do(kind: type, model: str) -> None:
    with pytest.raises(InputError, match=rf"{model} is neither.*HF_HUB_OFFLINE.*extractor\.path=FOLDER.*HF_HOME"):
        kind()

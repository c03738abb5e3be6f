"""What all extractors have in common: checks, channels, mode, precision, identity, and how they are found."""

import copy
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.config.targets import signature
from aigc.errors import InputError
from aigc.metrics.image.extractors import Extracted, Extractor, ModuleExtractor, get_extractor
from aigc.metrics.image.extractors.precision import full_precision


class Means(Extractor):
    """The mean of each channel, and a layer whose mode and precision can be seen."""

    name = "means"
    dimensions = 3
    classes: int | None = 7

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        self.layer = nn.Sequential(nn.Linear(3, 7), nn.Dropout(0.5), nn.BatchNorm1d(7))
        with torch.no_grad():
            self.layer[0].weight.copy_(torch.randn(7, 3, generator=chance) / 10)
            self.layer[0].bias.zero_()

    def extract(self, images: Tensor) -> Extracted:
        means = images.double().mean((2, 3)).float()
        return Extracted(means, self.layer(means))


def random_images(*shape: int) -> Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("shape", "kept"), [((2, 1, 3, 4), [0, 0, 0]), ((2, 4, 1, 1), [0, 1, 2])])
def test_images_meet_the_network_as_rgb(shape: tuple[int, ...], kept: list[int]) -> None:
    images = random_images(*shape)
    assert torch.equal(Means()(images).features, images.double().mean((2, 3)).float()[:, kept])
    with pytest.raises(InputError, match="images have 5 channels"):
        Means()(random_images(2, 5, 4, 4))


def test_an_empty_batch_has_no_features() -> None:
    features, logits = Means()(random_images(0, 3, 8, 8))
    assert features.shape == (0, 3)
    assert logits.shape == (0, 7)


def test_the_network_stays_in_evaluation_mode() -> None:
    extractor = Means()
    assert extractor.layer.training  # its parts are made in training mode
    images = random_images(6, 3, 4, 4)
    first = extractor(images).logits
    nn.ModuleList([extractor]).train()
    assert not any(part.training for part in extractor.modules())
    assert torch.equal(extractor(images).logits, first)
    # a matrix product sums in another order for another number of rows, so the last bits are the processor's
    torch.testing.assert_close(torch.cat([extractor(image[None]).logits for image in images]), first)


def test_features_have_no_gradient() -> None:
    features, logits = Means()(random_images(2, 3, 4, 4))
    assert not features.requires_grad
    assert not logits.requires_grad


def test_a_training_with_less_precision_around_changes_no_bit() -> None:
    extractor, images = Means(), random_images(6, 3, 4, 4)
    expected = extractor(images).logits
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            found = extractor(images).logits
            rough = extractor.extract(images).logits
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found, expected)
    assert not torch.equal(rough.float(), expected)  # negative control: autocast does change bits


def test_switches_of_precision_stand_as_before() -> None:
    conv, matmul = torch.backends.cudnn.conv, torch.backends.mkldnn.matmul
    before = (conv.fp32_precision, matmul.fp32_precision)
    assert torch.backends.cudnn.allow_tf32
    with full_precision("cpu"):
        assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.deterministic
    assert torch.backends.cudnn.allow_tf32
    assert (conv.fp32_precision, matmul.fp32_precision) == before
    matmul.fp32_precision = "bf16"  # by the newer switches, which the older ones refuse to read
    try:
        with full_precision("cpu"):
            assert conv.fp32_precision == matmul.fp32_precision == "ieee"
        assert matmul.fp32_precision == "bf16"
        assert conv.fp32_precision == before[0]
    finally:
        matmul.fp32_precision = before[1]


def test_the_identity_is_that_of_weights_and_preprocessing() -> None:
    extractor = Means()
    identity = extractor.identity
    assert len(identity) == 64
    assert extractor.description == f"means|none|weights:{extractor.weights_digest()[:8]}"
    assert extractor.suffix == "_means"
    assert not extractor.is_reference
    assert Means().identity == copy.deepcopy(extractor).train().identity == identity
    others = [Means(), Means(), Means(), Means(seed=1)]
    others[0].preprocessing = "resize:bicubic64"
    others[1].name = "medians"
    with torch.no_grad():
        others[2].layer[2].running_mean[3] += 1e-7
    assert len({identity, *(other.identity for other in others)}) == 5


def test_memory_format_is_no_part_of_the_identity() -> None:
    extractor = ModuleExtractor(nn.Conv2d(3, 4, 3), "convolved", 4)
    before = extractor.identity
    assert extractor.to(memory_format=torch.channels_last).identity == before


class Pooled(nn.Module):
    def __init__(self, both: bool) -> None:
        super().__init__()
        self.both = both

    def forward(self, pixels: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = F.adaptive_avg_pool2d(pixels, 1).flatten(1)
        return (features, features[:, :2]) if self.both else features


def test_a_module_of_ones_own_gets_its_own_range() -> None:
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 5, 5)
    for low, high, expected in ((-1, 1, [-1, -0.6, 1]), (0, 1, [0, 0.2, 1]), (0, 255, [0, 51, 255])):
        features, logits = ModuleExtractor(Pooled(False), "pooled", 3, low=low, high=high)(images)
        assert features.tolist()[0] == pytest.approx(expected)
        assert logits is None
    assert ModuleExtractor(Pooled(True), "pooled", 3, 2)(images).logits.shape == (1, 2)


def test_a_module_sees_images_of_the_size_it_asks_for() -> None:
    seen = []
    extractor = ModuleExtractor(Pooled(False), "pooled", 3, size=12)
    extractor.module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for shape in ((2, 3, 5, 7), (2, 1, 40, 12), (2, 3, 12, 12)):
        extractor(random_images(*shape))
    assert [pixels.shape for pixels in seen] == [(2, 3, 12, 12)] * 3
    assert all(pixels.min() >= -1 and pixels.max() <= 1 for pixels in seen)  # bicubic would overshoot
    assert extractor.identity != ModuleExtractor(Pooled(False), "pooled", 3, size=16).identity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Pooled(False), "pooled", 4), r"3 images gave features of shape \(3, 3\).*declares \(3, 4\)"),
        ((Pooled(False), "pooled", 3, 2), r"logits of None; it declares \(3, 3\) and \(3, 2\)"),
        ((Pooled(True), "pooled", 3), r"logits of \(3, 2\); it declares \(3, 3\) and None"),
        ((Pooled(True), "my net", 3), "extractor name 'my net'"),
        ((Pooled(True), "net", 3, None, 0, 1, 0), "size=0"),
    ],
)
def test_a_module_that_does_not_keep_its_word_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModuleExtractor(*arguments)(random_images(3, 3, 4, 4))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("incepton", {}, r"extractor 'incepton' is not known\. Did you mean inception\? Allowed: .*dinov2.*_target_"),
        ("efficientnet_lite0", {"sise": 64}, r"efficientnet_lite0 has no setting 'sise'\. Did you mean size\?"),
        ("classifier", {"seed": 1}, "classifier needs images and labels"),
    ],
)
def test_a_typo_names_what_there_is(name: str, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        get_extractor(name, **settings)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("Inception", ["weights_path"]),
        ("EfficientNetLite0", ["size"]),
        ("CLIP", ["path"]),
        ("DINOv2", ["path"]),
    ],
)
def test_kinds_can_be_targets_of_a_config(kind: str, parameters: list[str]) -> None:
    found = signature(f"aigc.metrics.image.extractors.{kind}").parameters
    assert list(found) == parameters
    assert all(parameter.doc and not parameter.required for parameter in found.values())


def test_names_are_looked_up_without_torch() -> None:
    code = (
        "import sys\nfrom aigc.errors import InputError\nfrom aigc.metrics.image.extractors import get_extractor\n"
        "try:\n    get_extractor('nothing')\nexcept InputError:\n    pass\n"
        "print(sorted({'torch', 'torch_fidelity', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout.strip() == "[]", done.stderr

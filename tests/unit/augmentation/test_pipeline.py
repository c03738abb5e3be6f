"""What all transforms promise: no change at 0, the asked share of changes, true gradients, nothing read back."""

import math

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from aigc.augmentation import (
    AdaptiveAugment,
    Augmentation,
    DiffAugment,
    GroupedAugment,
    OwnTransform,
    Pipeline,
    ScheduledAugment,
)
from aigc.augmentation.adaptive import GROUPS
from aigc.augmentation.draws import choose, happens
from aigc.config import build
from aigc.config.check import node_problems
from aigc.errors import InputError

POLICIES = {name: DiffAugment([name]).transforms[0][0] for name in ("color", "translation")}
TRANSFORMS = {**GROUPS, **POLICIES}
# How likely an image of 8 x 8 stays, where each change is drawn with a probability p.
STAYS = {
    "blit": lambda p: (1 - p / 2) * (1 - 3 * p / 4) ** 2,
    "geometry": lambda p: (1 - p) ** 4,
    "colour": lambda p: (1 - p) ** 4 * (1 - p / 2),
    "filtering": lambda p: (1 - p) ** 4,
    "noise": lambda p: 1 - p,
    "cutout": lambda p: 1 - p,
    "color": lambda p: 1 - p,
    "translation": lambda p: 1 - 8 * p / 9,
}


def bits(images):
    return images.contiguous().view(torch.int32)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("probability", [0.0, 0.15, 1.0])
def test_as_many_images_change_as_asked(name, probability):
    torch.manual_seed(1)
    count = 3000
    images = torch.randn(count, 3, 8, 8)
    images[:, :, 0, 0] = -0.0
    new = TRANSFORMS[name](images, torch.tensor(probability))
    share = STAYS[name](probability)
    stayed = (bits(new) == bits(images)).flatten(1).all(1).float().mean()
    assert abs(stayed - share) <= 4 * math.sqrt(share * (1 - share) / count)


def everything(probability=1.0):
    return GroupedAugment(probability, filtering=1, noise=1, cutout=1)


def test_shares_multiply_the_probability():
    torch.manual_seed(0)
    images = torch.randn(3000, 1, 4, 4)
    new = GroupedAugment(0.8, blit=0, geometry=0, colour=0, noise=0.5)(images)
    assert abs((new != images).flatten(1).any(1).float().mean() - 0.4) < 0.04


def test_all_groups_left_out_are_refused():
    with pytest.raises(InputError, match=r"GroupedAugment would change nothing, as blit, geometry, .* are all 0"):
        GroupedAugment(0.5, blit=0, geometry=0, colour=0)


class Negative(OwnTransform):
    """A transform of a person's own."""

    def __call__(self, images: Tensor, probability: Tensor) -> Tensor:
        return choose(happens(images, probability), -images, images)


OWN = {"_target_": f"{__name__}.Negative", "share": 0.5}


@pytest.mark.parametrize("kind", ["GroupedAugment", "ScheduledAugment", "AdaptiveAugment"])
def test_a_transform_of_ones_own_is_a_node_of_the_config(kind, monkeypatch):
    monkeypatch.setattr("aigc.config.trust._named", [__name__])
    shares = {"probability": 0.8, "blit": 0, "geometry": 0, "colour": 0}
    node = {"_target_": f"aigc.augmentation.{kind}", **shares}
    torch.manual_seed(0)
    augment = build({**node, "transforms": {"mine": OWN, "off": None}}, Augmentation, "task.augmentation")
    new = augment(torch.ones(3000, 1, 2, 2))
    assert abs((new == -1).float().mean() - 0.4) < 0.04
    assert ((new == 1) | (new == -1)).all()
    wrong = {**node, "transforms": {"mine": {**OWN, "shares": 1}}}
    (problem,) = node_problems("task.augmentation", wrong, "aigc.augmentation.base.Augmentation")
    assert problem.key == "task.augmentation.transforms.mine.shares"
    with pytest.raises(InputError, match="would change nothing"):
        build({**node, "transforms": {"mine": None}}, Augmentation, "task.augmentation")


@pytest.mark.parametrize(
    ("policy", "said"), [(["colour"], "no policy colour. Did you mean color"), ([], "no policy, and")]
)
def test_a_policy_that_does_not_exist_is_refused(policy, said):
    with pytest.raises(InputError, match=said):
        DiffAugment(policy)


def test_policies_are_done_in_their_order():
    torch.manual_seed(0)
    images = torch.ones(50, 3, 16, 16)
    grey = [(DiffAugment(policy)(images) == 0).any() for policy in (["color", "translation"], ["translation", "color"])]
    assert grey == [True, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_dtype_and_order_in_memory_stay(dtype):
    images = torch.randn(4, 3, 8, 8).to(dtype, memory_format=torch.channels_last)
    for augment in (everything(), DiffAugment()):
        new = augment(images)
        assert (new.dtype, new.shape) == (dtype, images.shape)
        assert new.is_contiguous(memory_format=torch.channels_last)
        assert augment(images.contiguous()).is_contiguous()
    assert torch.equal(everything(0)(images), images)


def test_half_precision_of_the_training_changes_nothing():
    images = torch.randn(8, 3, 8, 8)
    found = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(everything()(images))
    assert torch.equal(*found)
    with torch.autocast("cpu", torch.bfloat16):
        assert (images[0, 0] @ images[0, 0]).dtype == torch.bfloat16  # negative control


def test_pixels_that_are_not_floating_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        DiffAugment()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize("augment", [everything(0.6), DiffAugment()], ids=["grouped", "diff"])
def test_the_seed_decides_all_draws(augment):
    images = torch.randn(8, 3, 8, 8)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(augment(images))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert not torch.equal(*augment(images[:1].expand(2, -1, -1, -1)))  # each image has its own


def follows(transforms, channels=3):
    """Whether the gradient of a pipeline is that of its values, which are affine in the images: steps are exact."""
    pipeline = Pipeline([(transform, 1.0) for transform in transforms])
    torch.manual_seed(1)
    images, step, weights = torch.randn(3, 4, channels, 6, 5, dtype=torch.float64)
    values = []
    for one in (images.requires_grad_(), images + step):
        torch.manual_seed(0)
        values.append((pipeline(one) * weights).sum())
    (gradient,) = torch.autograd.grad(values[0], images)
    return torch.allclose(values[1] - values[0], (gradient * step).sum(), rtol=1e-9)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_gradients_match_finite_differences(name):
    assert follows([TRANSFORMS[name]])
    assert follows([TRANSFORMS[name]], channels=1)


def test_a_detached_gradient_would_be_noticed():
    assert not follows([lambda images, probability: images + GROUPS["blit"](images.detach(), probability)])


@pytest.mark.slow
def test_nothing_is_read_back_from_the_device():
    """Tensors without numbers, as if on a GPU: whatever asks for a number, or comes from the CPU, fails."""
    with FakeTensorMode():
        with torch.device("cuda"):
            augments = [AdaptiveAugment(filtering=1, noise=1, cutout=1), ScheduledAugment(), DiffAugment()]
            images, logits = torch.zeros(4, 3, 8, 8, dtype=torch.bfloat16), torch.zeros(4)
        for augment in augments:
            assert augment(images).device.type == "cuda"
            augment.adapt(logits)
        with pytest.raises(DataDependentOutputException):  # negative controls
            augments[0].probability.item()
        with pytest.raises(RuntimeError, match="same device"):
            images + torch.zeros(4, 3, 8, 8)

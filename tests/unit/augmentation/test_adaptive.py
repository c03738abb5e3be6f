"""A probability that follows the discriminator, or a schedule; and outlives a restart."""

import pytest
import torch

from aigc.augmentation import AdaptiveAugment, DiffAugment, GroupedAugment, ScheduledAugment
from aigc.errors import InputError


def after(augment, *logits):
    """The probability after each step."""
    found = []
    for one in logits:
        augment.adapt(one)
        found.append(augment.probability.item())
    return found


def test_it_rises_by_one_over_as_many_images_as_asked():
    found = after(AdaptiveAugment(speed_images=1000, every_n_steps=4), *[torch.full((25,), 3.0)] * 12)
    assert found == pytest.approx([0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.2, 0.3], abs=1e-7)


def test_the_papers_speed_is_the_default():
    assert after(AdaptiveAugment(), *[torch.ones(64)] * 8)[-1] == pytest.approx(8 * 64 / 500_000, rel=1e-6)


def test_it_falls_and_stays_at_0():
    found = after(AdaptiveAugment(speed_images=100, every_n_steps=1, probability=0.25), *[torch.full((10,), -0.1)] * 4)
    assert found == pytest.approx([0.15, 0.05, 0, 0], abs=1e-7)
    assert found[-1] == 0


def test_it_stays_below_the_maximum():
    augment = AdaptiveAugment(speed_images=100, every_n_steps=1, maximum=0.25)
    assert after(augment, *[torch.ones(10)] * 4) == pytest.approx([0.1, 0.2, 0.25, 0.25], abs=1e-7)


def test_the_mean_sign_of_all_steps_since_the_last_change_counts():
    positive, negative = torch.full((10,), 0.01), torch.full((10,), -100.0)
    augment = AdaptiveAugment(target=0, speed_images=60, every_n_steps=3, probability=0.5)
    assert after(augment, positive, positive, negative)[-1] == pytest.approx(1.0)
    assert augment.overfitting.item() == pytest.approx(1 / 3)
    assert after(augment, negative, negative, positive)[-1] == pytest.approx(0.5)
    assert augment.overfitting.item() == pytest.approx(-1 / 3)


def test_on_target_it_stays():
    logits = torch.tensor([1.0] * 8 + [-1.0] * 2)
    assert after(AdaptiveAugment(probability=0.5, every_n_steps=1), logits) == [0.5]


def test_it_learns_from_logits_with_a_graph_in_half_precision():
    augment = AdaptiveAugment(speed_images=100, every_n_steps=1)
    logits = torch.ones(10, dtype=torch.bfloat16, requires_grad=True) * 1e-30
    assert after(augment, logits) == pytest.approx([0.1])
    assert not augment.probability.requires_grad


def test_the_schedule_is_half_a_cosine():
    augment = ScheduledAugment(final_probability=0.6, ramp_images=120, probability=0.2)
    found = after(augment, *[torch.zeros(20)] * 8)
    assert found == pytest.approx([0.2268, 0.3, 0.4, 0.5, 0.5732, 0.6, 0.6, 0.6], abs=1e-4)


@pytest.mark.parametrize("augment", [GroupedAugment(0.3), DiffAugment()], ids=["grouped", "diff"])
def test_others_have_nothing_to_learn(augment):
    before = augment.probability.item()
    assert after(augment, *[torch.ones(1000)] * 8) == [before] * 8


def make(kind):
    settings = {"speed_images": 90, "every_n_steps": 3} if kind is AdaptiveAugment else {"ramp_images": 500}
    return kind(noise=1, **settings)


def go_on(augment, steps):
    """Probabilities and images of some steps."""
    found = []
    for step in steps:
        torch.manual_seed(step)
        augment.adapt(torch.randn(7) + 0.8)
        found.append((augment.probability.clone(), augment(torch.ones(5, 3, 4, 4))))
    return found


def same(one, other):
    return all(torch.equal(a, b) for pair in zip(one, other, strict=True) for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize("kind", [AdaptiveAugment, ScheduledAugment])
def test_a_restart_changes_no_bit(kind):
    whole, begun, restarted = make(kind), make(kind), make(kind)
    expected = go_on(whole, range(20))
    assert same(go_on(begun, range(10)), expected[:10])  # in the middle of three steps
    restarted.load_state_dict(begun.state_dict())
    assert same(go_on(restarted, range(10, 20)), expected[10:])
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in restarted.state_dict().items())
    forgotten = make(kind)
    forgotten.probability.copy_(begun.probability)  # negative control: the probability alone is not enough
    assert not same(go_on(forgotten, range(10, 20)), expected[10:])


def test_a_beginning_beyond_the_maximum_is_refused():
    with pytest.raises(InputError, match=r"probability is 0.5, above the maximum of 0.4"):
        AdaptiveAugment(probability=0.5, maximum=0.4)

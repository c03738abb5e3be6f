"""StyleGAN2 as a whole: styles, their average, truncation and mixing; its published sizes."""

from itertools import pairwise

import pytest
import torch

from aigc.losses.regularisers.path_length import path_length_penalty
from aigc.models.images.gan import StyleGAN2Discriminator, StyleGAN2Generator
from tests.unit.models.gan_modern_networks import parameters, without_initialisation


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def generator(classes=0, **settings):
    return StyleGAN2Generator(16, 1, classes, latents=5, style_width=6, features=64, most_features=8, **settings)


def test_parameters_are_as_many_as_in_the_authors_code(monkeypatch):
    """As stylegan2-ada-pytorch prints them when it starts: at 32 pixels with 8 layers of mapping, at 1024 with 2."""
    without_initialisation(monkeypatch)
    assert parameters(StyleGAN2Generator(32, 3, mapping_layers=8)) == 21_523_475
    assert parameters(StyleGAN2Discriminator(32, 3)) == 21_507_073
    assert parameters(StyleGAN2Generator(1024, 3)) == 28_794_124
    assert parameters(StyleGAN2Discriminator(1024, 3)) == 29_012_513


def test_the_average_style_moves_towards_the_mean_of_the_batch_in_training_alone():
    network = generator(style_mixing=0.0, average_decay=0.9).eval()
    latents = torch.randn(7, 5)
    styles = network.mapping(latents)
    assert styles.shape == (7, network.layers, 6)
    assert torch.equal(network.average_style, torch.zeros(6))
    network.train().mapping(latents)
    torch.testing.assert_close(network.average_style, 0.1 * styles[:, 0].mean(0))
    before = network.average_style.clone()
    network.synthesis(styles)
    network.eval()(latents)
    assert torch.equal(network.average_style, before)


def test_truncation_to_zero_leaves_one_image_and_to_one_changes_none():
    network = generator(classes=3)
    labels = torch.tensor([0, 1, 2, 0])
    network(torch.randn(4, 5), labels)
    network.eval()
    styles = network.mapping(torch.randn(4, 5), labels)
    one = network.synthesis(network.truncated(styles, 0.0))
    torch.testing.assert_close(one, one[:1].expand(4, -1, -1, -1))
    torch.testing.assert_close(network.synthesis(network.truncated(styles, 1.0)), network.synthesis(styles))
    assert network.synthesis(styles).var(0).mean() > 0


def test_mixed_images_have_their_own_styles_first_and_others_from_a_random_layer_on():
    network = generator(style_mixing=1.0)
    latents = torch.randn(64, 5)
    own = network.eval().mapping(latents)
    assert torch.equal(own, own[:, :1].expand_as(own))
    mixed = network.train().mapping(latents)
    same = (mixed - own).abs().amax(2) < 1e-6  # (64, layers)
    firsts = same.sum(1)
    assert set(firsts.tolist()) == set(range(1, network.layers))
    for sample, first in enumerate(firsts.tolist()):
        assert same[sample, :first].all()
        assert torch.equal(mixed[sample, first:], mixed[sample, first : first + 1].expand(network.layers - first, -1))
    network.style_mixing = 0.25
    share = ((network.mapping(latents.repeat(16, 1)) - own.repeat(16, 1, 1)).abs() > 1e-6).any(2).any(1).float().mean()
    assert share.item() == pytest.approx(0.25, abs=0.05)


def test_swapping_layers_by_hand_goes_from_one_image_to_another():
    network = generator().eval()
    first, second = network.mapping(torch.randn(2, 5))[:, None].unbind(0)
    swapped = [
        network.synthesis(torch.cat([second[:, :layer], first[:, layer:]], dim=1))
        for layer in range(network.layers + 1)
    ]
    assert torch.equal(swapped[0], network.synthesis(first))
    assert torch.equal(swapped[-1], network.synthesis(second))
    for before, after in pairwise(swapped):
        assert (before - after).abs().max() > 1e-5  # each layer has a say


def test_an_image_in_evaluation_depends_on_its_latents_alone():
    network = generator().eval()
    for name, parameter in network.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.constant_(parameter, 1.0)
    latents = torch.randn(4, 5)
    state = torch.get_rng_state()
    together = network(latents)
    torch.testing.assert_close(torch.cat([network(one[None]) for one in latents]), together)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(network.train()(latents), network(latents))


def test_the_length_of_latents_does_not_matter_and_styles_and_images_keep_float32_under_autocast():
    network = generator().eval()
    latents = torch.randn(2, 5)
    torch.testing.assert_close(network(latents), network(3 * latents))
    with torch.autocast("cpu", torch.bfloat16):
        assert network.mapping(latents).dtype == network(latents).dtype == torch.float32


def test_path_lengths_reach_every_layer_of_the_mapping_and_of_the_synthesis():
    network = generator(style_mixing=0.0)
    styles = network.mapping(torch.randn(3, 5))
    images = network.synthesis(styles)
    penalty, _ = path_length_penalty(images, styles, torch.randn_like(images), torch.zeros(()))
    named = {name: weight for name, weight in network.named_parameters() if "mapper" in name or "affine.weight" in name}
    for name, gradient in zip(named, torch.autograd.grad(penalty, list(named.values())), strict=True):
        assert gradient.abs().max() > 0, name


def test_the_discriminator_sees_how_much_a_group_differs():
    network = StyleGAN2Discriminator(8, 1, features=64, most_features=8, group=2)
    images = torch.randn(4, 1, 8, 8)  # groups are 0 with 2, and 1 with 3
    changed = images.clone()
    changed[3] += 1
    moved = (network(images).logits - network(changed).logits).abs() > 1e-6
    assert moved.tolist() == [False, True, False, True]
    assert network.mixes_samples

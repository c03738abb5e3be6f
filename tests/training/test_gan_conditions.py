"""Classes, pixels, precisions and augmentations: what a step passes on, and what its losses are made of."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc import losses
from aigc.augmentation.base import Augmentation
from aigc.data.images import to_float
from aigc.models.images.gan import Discriminator, DiscriminatorOutput, Gan, Generator
from aigc.tasks import GanTask
from aigc.tasks.gan.objectives import DiscriminatorObjective, GeneratorObjective
from tests.training.gans import (
    LATENTS,
    SIZE,
    Manifold,
    SmallGenerator,
    batches,
    fit,
    regularisers,
    small_gan,
    watch_gradients,
    watch_latents,
    weights,
)


def manifold_gan(**settings) -> GanTask:
    torch.manual_seed(0)
    networks = Gan(SmallGenerator(SIZE, 3, 4), Manifold(SIZE, 3, 4), {}, tuple("abcd"))
    return GanTask(networks, partial(torch.optim.SGD, lr=0.1), **settings)


def test_labels_of_real_images_are_those_that_are_asked_for(tmp_path):
    task, told = small_gan(classes=4, n_critic=2, micro_batches=2), []
    for network in (task.model.generator, task.model.discriminator):
        network.register_forward_pre_hook(lambda network, given: told.append((type(network).__name__[5:], given[1])))
    (batch,) = batches(1, classes=4)
    fit(task, tmp_path, [batch])
    parts = batch["labels"].split(2)
    assert len({tuple(part.tolist()) for part in parts}) == 4
    expected = [pair for part in parts for pair in (("Generator", part), ("Discriminator", torch.cat([part, part])))]
    expected += [pair for part in parts[2:] for pair in (("Generator", part), ("Discriminator", part))]
    assert [(name, labels.tolist()) for name, labels in told] == [(name, labels.tolist()) for name, labels in expected]


@pytest.mark.parametrize("name", ["hinge", "relativistic"])
def test_pixels_and_classes_are_parts_of_both_losses(name):
    """An image's logits, those of its pixels, and the cross-entropy of its classes, each added as it is."""
    task, loss = manifold_gan(), losses.get(name)
    network = task.model.discriminator
    real, latents, labels = torch.randn(5, 3, SIZE, SIZE), task.latents(5), torch.tensor([0, 3, 1, 1, 2])
    fake = task.model.generator(latents, labels)

    def entropy(images: Tensor) -> Tensor:
        return -F.log_softmax(network.kind(images.flatten(1)), 1)[torch.arange(5), labels].mean()

    images = [network.image(given.flatten(1))[:, 0] for given in (real, fake)]
    pixels = [network.pixel(given)[:, 0] for given in (real, fake)]
    objective = DiscriminatorObjective(network, loss, {}, auxiliary_weight=0.3)
    found = objective(real, fake.detach(), labels, labels)
    expected = loss.discriminator(*images) + loss.discriminator(*pixels)
    torch.testing.assert_close(found.values["discriminator_loss"], expected.detach())
    torch.testing.assert_close(found.values["classifier_loss"], entropy(real).detach())
    torch.testing.assert_close(found.loss, expected + 0.3 * entropy(real))
    torch.testing.assert_close(found.real_logits, images[0].detach())
    deceive = GeneratorObjective(task.model, loss, lambda given: given, auxiliary_weight=0.7)
    expected = loss.generator(*images) + loss.generator(*pixels) + 0.7 * entropy(fake)
    torch.testing.assert_close(deceive(real, latents, labels), expected)


def test_all_values_that_are_recorded_have_reserved_names(tmp_path):
    adaptive = {"_target_": "aigc.augmentation.AdaptiveAugment"}
    penalties = regularisers(R1={"gamma": 1.0, "every_n_steps": 2}, LeCam={})
    task = manifold_gan(loss="hinge", regularisers=penalties, augmentation=adaptive)
    fit(task, tmp_path, batches(2, 8, 4))
    recorded = {name.removeprefix("train/") for name in task.latest}
    assert recorded == task.recorded_names() | set(penalties)
    assert not task.recorded_names() & set(penalties)


def test_penalties_derive_images_and_pixels_together():
    task = manifold_gan(regularisers=regularisers(R1={"gamma": 1.0}, R2={"gamma": 1.0}))
    real, labels = torch.randn(5, 3, SIZE, SIZE), torch.zeros(5, dtype=torch.int64)
    found = task._phases.discriminator(real, -real, labels, labels)
    network = task.model.discriminator
    slope = network.image.weight.view(3, SIZE, SIZE) + network.pixel.weight.view(3, 1, 1) / SIZE**2
    for name in ("r1", "r2"):
        torch.testing.assert_close(found.values[name], slope.square().sum().detach())
    plain = found.values["discriminator_loss"] + found.values["classifier_loss"]
    torch.testing.assert_close(found.loss.detach(), plain + found.values["r1"] / 2 + found.values["r2"] / 2)


def test_what_a_step_is_made_of_is_recorded(tmp_path):
    penalties = regularisers(R1={"gamma": 1.0}, PathLength={"every_n_steps": 1}, LeCam={})
    adaptive = {"_target_": "aigc.augmentation.adaptive.AdaptiveAugment", "probability": 0.25}
    task = manifold_gan(regularisers=penalties, augmentation=adaptive)
    fit(task, tmp_path, batches(1, classes=4))
    names = ["discriminator_loss", "generator_loss", "real_logit", "fake_logit", "classifier_loss"]
    names += ["r1", "pathlength", "lecam", "augmentation_probability"]
    for network in ("generator", "discriminator"):
        names += [f"{network}_gradient_norm", f"{network}_learning_rate"]
    assert set(task.latest) == {f"train/{name}" for name in names}
    assert task.latest["train/augmentation_probability"] == 0.25
    assert task.latest["train/generator_learning_rate"] == 0.1


def test_values_are_means_over_the_steps_since_the_last_record(tmp_path):
    each, some = (manifold_gan(n_critic=2) for _ in range(2))
    rows: list[dict[str, float]] = []
    each.record = lambda values: rows.append(dict(values))
    fit(each, tmp_path, batches(4, classes=4))
    fit(some, tmp_path, batches(4, classes=4), log_every_n_steps=4)
    assert len(rows) == 4
    for name in ("train/discriminator_loss", "train/generator_loss", "train/real_logit", "train/classifier_loss"):
        assert some.latest[name] == pytest.approx(sum(row[name] for row in rows) / 4)


def test_bfloat16_trains_like_float32(tmp_path):
    penalties = regularisers(R1={"gamma": 1.0, "every_n_steps": 2}, GradientPenalty={})
    both = [small_gan(classes=4, n_critic=2, d_spectral=False, regularisers=penalties) for _ in range(2)]
    before = weights(both[0].model)
    for task, precision in zip(both, ("32-true", "bf16-mixed"), strict=True):
        fit(task, tmp_path, batches(2, classes=4), precision=precision)
    exact, narrow = (task.latest for task in both)
    assert exact != narrow
    assert narrow == pytest.approx(exact, rel=5e-2, abs=5e-3)
    assert all(parameter.dtype == torch.float32 for parameter in both[1].parameters())
    # Autocast keeps narrowed weights, without a graph if it was told so: they would not learn.
    assert not any(torch.equal(one, other) for one, other in zip(weights(both[1].model), before, strict=True))


class ExactGenerator(Generator):
    """A matrix product in float32, whatever the precision."""

    def __init__(self) -> None:
        super().__init__(SIZE, 3)
        self.latent_shape = (LATENTS,)
        self.weight = nn.Parameter(torch.randn(LATENTS, 3 * SIZE**2))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return (latents @ self.weight).view(-1, 3, SIZE, SIZE)


class ExactDiscriminator(Discriminator):
    """Products of numbers, which no precision narrows."""

    def __init__(self) -> None:
        super().__init__(SIZE, 3)
        self.weight = nn.Parameter(torch.randn(3, SIZE, SIZE))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        return DiscriminatorOutput((images * self.weight).sum((1, 2, 3)))


def test_what_a_loss_keeps_in_float32_is_derived_in_float32(tmp_path):
    found = []
    for precision in ("32-true", "bf16-mixed"):
        torch.manual_seed(0)
        networks = Gan(ExactGenerator(), ExactDiscriminator(), {})
        with watch_gradients() as gradients:
            fit(GanTask(networks, torch.optim.SGD), tmp_path, batches(2), precision=precision)
        found.append(torch.cat([gradient.flatten() for step in gradients for gradient in step]))
    assert found[0].any()
    assert torch.equal(*found)


def test_every_rank_and_step_draws_its_own_latents(tmp_path):
    one, again, other = small_gan(), small_gan(), small_gan(seed=0)
    other.seed = 1
    drawn = [watch_latents(task) for task in (one, again, other)]
    for task in (one, again, other):
        torch.manual_seed(len(drawn[0]))  # what was drawn before does not matter
        fit(task, tmp_path, batches(3))
    same = torch.cat(drawn[0])
    assert torch.equal(same, torch.cat(drawn[1]))
    assert not torch.isin(same, torch.cat(drawn[2])).any()
    assert len(same.unique()) == same.numel()


class Negate(Augmentation):
    """The opposite of each colour; what it could adapt to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        return -images

    def adapt(self, real_logits: Tensor) -> None:
        self.told.append(real_logits)


def test_an_augmentation_changes_the_input_and_is_differentiated(tmp_path):
    """The discriminator sees real and made images changed; the generator learns through the change."""
    task, shown, made = small_gan(), [], []
    task.augmentation = Negate()
    task.model.discriminator.register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    task.model.generator.register_forward_hook(lambda _, given, images: made.append(images))
    (batch,) = batches(1)
    with watch_gradients() as found:
        fit(task, tmp_path, [batch])
    assert torch.equal(shown[0], -torch.cat([to_float(batch["images"]), made[0]]))
    assert torch.equal(shown[1], -made[1])
    assert len(found) == 2
    assert all(gradient.any() for step in found for gradient in step)


def test_an_augmentation_adapts_to_the_logits_of_all_real_images_of_each_step(tmp_path):
    lazy = regularisers(R1={"gamma": 1.0, "every_n_steps": 2})
    task, said = small_gan(n_critic=2, micro_batches=2, regularisers=lazy), []
    task.augmentation = Negate()
    task.model.discriminator.register_forward_hook(lambda _, given, judged: said.append(judged.logits.detach()))
    fit(task, tmp_path, batches(2))
    assert [len(logits) for logits in task.augmentation.told] == [4, 4, 4, 4]
    assert torch.equal(task.augmentation.told[0], torch.cat([logits[:2] for logits in said[:2]]))
    assert not any(logits.requires_grad for logits in task.augmentation.told)


def doubled(images: Tensor) -> Tensor:
    return 2 * images


@pytest.mark.parametrize("name", ["r1", "r2", "both"])
def test_penalties_differentiate_through_the_augmentation(name):
    """By the chain rule, a discriminator that is shown doubled images changes twice as fast with the images."""
    chosen = {"r1": {"R1"}, "r2": {"R2"}, "both": {"R1", "R2"}}[name]
    task = small_gan(regularisers=regularisers(**{one: {"gamma": 1.0} for one in chosen}), d_spectral=False)
    network, loss = task.model.discriminator, losses.get("hinge")
    objective = DiscriminatorObjective(network, loss, dict(task.regularisers.items()), doubled)
    sides = {"r1": torch.randn(5, 3, SIZE, SIZE), "r2": torch.randn(5, 3, SIZE, SIZE)}
    found = objective(sides["r1"], sides["r2"], None, None)
    for kind in (one.lower() for one in chosen):
        images = sides[kind].clone().requires_grad_()
        (slopes,) = torch.autograd.grad(network(doubled(images)).logits.sum(), images)
        torch.testing.assert_close(found.values[kind], slopes.square().sum((1, 2, 3)).mean())
    logits = [network(doubled(one)).logits for one in sides.values()]
    torch.testing.assert_close(found.values["discriminator_loss"], loss.discriminator(*logits).detach())


@pytest.mark.parametrize("augmentation", ["AdaptiveAugment", "DiffAugment"])
def test_r1_goes_through_real_augmentations(augmentation, tmp_path):
    """All of them can be differentiated twice where a penalty needs it."""
    settings = {"probability": 0.7} | (
        {"noise": 1.0, "filtering": 1.0, "cutout": 1.0} if augmentation[0] == "A" else {}
    )
    node = {"_target_": f"aigc.augmentation.{augmentation}", **settings}
    task = small_gan(
        augmentation=node, regularisers=regularisers(R1={"gamma": 1.0}, R2={"gamma": 1.0, "every_n_steps": 2})
    )
    with watch_gradients() as found:
        fit(task, tmp_path, batches(3))
    assert len(found) == 3 + 3 + 2
    assert all(gradient.isfinite().all() for step in found for gradient in step)


def test_a_lazy_penalty_of_real_images_generates_none(tmp_path):
    made = []
    for penalty in ("R1", "R2"):
        task = small_gan(regularisers=regularisers(**{penalty: {"gamma": 1.0, "every_n_steps": 2}}))
        task.model.generator.register_forward_hook(lambda *_, penalty=penalty: made.append(penalty))
        fit(task, tmp_path, batches(4))
    assert (made.count("R1"), made.count("R2")) == (8, 10)

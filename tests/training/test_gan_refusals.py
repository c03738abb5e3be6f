"""What cannot be trained is told in words, before anything is trained."""

import pytest
import torch
from pytorch_lightning.plugins.precision import MixedPrecision

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.config import compose, factory
from aigc.config.problems import ConfigError
from aigc.errors import InputError
from aigc.launch import components
from tests.training.gans import batches, fit, regularisers, small_gan, weights

R1 = regularisers(R1={"gamma": 1.0})


@pytest.mark.parametrize(
    ("name", "settings"),
    [("R1", {"gamma": 1.0}), ("R2", {"gamma": 1.0, "every_n_steps": 4}), ("GradientPenalty", {}), ("DRAGAN", {})],
)
def test_batch_normalisation_under_a_gradient_penalty(name, settings):
    with pytest.raises(ConfigError) as error:
        small_gan(d_batch_norm=True, regularisers=regularisers(**{name: settings}))
    assert [problem.key for problem in error.value.problems] == [f"task.regularisers.{name.lower()}"]


def test_batch_normalisation_without_one_or_with_it_switched_off_trains(tmp_path):
    others = regularisers(LeCam={}, PathLength={}) | {"r1": None}
    task = small_gan(d_batch_norm=True, g_batch_norm=True, regularisers=others)
    fit(task, tmp_path, batches(2))
    assert task.global_step == 2


@pytest.mark.parametrize(("n_critic", "micro_batches"), [(3, 1), (1, 3), (2, 8)])
def test_a_batch_that_does_not_divide(n_critic, micro_batches, tmp_path):
    task = small_gan(n_critic=n_critic, micro_batches=micro_batches)
    before = weights(task.model)
    said = (
        rf"a batch of 8 images cannot be split into {n_critic} \(task.n_critic\) times {micro_batches} "
        r"\(task.micro_batches\) equal parts; change data.batch_size, or set data.batches_per_step to task.n_critic"
    )
    with pytest.raises(InputError, match=said):
        fit(task, tmp_path, batches(1))
    assert all(torch.equal(one, other) for one, other in zip(weights(task.model), before, strict=True))


def half(scale: float = 1024.0) -> list:
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return [AtomicCheckpointIO(), MixedPrecision("16-mixed", "cpu", scaler)]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"regularisers": R1}, "task.regularisers.r1 takes a derivative inside the loss, where it vanishes before"),
        ({"regularisers": regularisers(PathLength={})}, "task.regularisers.pathlength takes a derivative"),
        ({"generator_clip": 1.0}, "gradients are clipped before that is undone"),
    ],
)
def test_float16_with_penalties_or_clipping(settings, reason, tmp_path):
    with pytest.raises(ConfigError) as error:
        fit(small_gan(**settings), tmp_path, batches(1), plugins=half())
    said = str(error.value)
    assert "trainer.precision: 16-mixed scales losses so that gradients do not vanish in float16, but" in said
    assert reason in said
    assert "set trainer.precision=bf16-mixed or 32-true" in said


def test_float16_with_penalties_is_refused_before_a_run_on_any_device(tmp_path):
    """On a CPU Lightning would train in bfloat16 instead."""
    penalty = ["+task.regularisers.r1._target_=aigc.losses.R1", "+task.regularisers.r1.gamma=1.0"]
    cfg = compose(["experiment=gan/digits", "trainer.precision=16-mixed", f"paths.cache={tmp_path}", *penalty])
    with pytest.raises(ConfigError, match="16-mixed scales losses"):
        components.build_task(cfg, components.build_data(cfg))


def test_float16_without_them_trains_and_counts(tmp_path):
    half_way, plain = (small_gan(n_critic=2, regularisers=regularisers(LeCam={})) for _ in range(2))
    trainer = fit(half_way, tmp_path, batches(4), plugins=half())
    fit(plain, tmp_path, batches(4))
    assert half_way.global_step == 4
    steps = [{int(state["step"]) for state in optimizer.state.values()} for optimizer in trainer.optimizers]
    assert steps == [{4}, {8}]
    losses = [
        (task.latest["train/discriminator_loss"], task.latest["train/generator_loss"]) for task in (half_way, plain)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[0] != losses[1]
    assert not any("gradient_norm" in name for name in half_way.latest)  # it would be that of multiplied gradients


def test_a_step_that_overflows_in_float16_is_left_out_and_counted(tmp_path):
    """As Lightning does it: the scale is halved, and the step is one of those that were asked for."""
    task = small_gan()
    before = weights(task.model)
    trainer = fit(task, tmp_path, batches(1), plugins=half(scale=2.0**60))
    assert task.global_step == 1
    assert all(torch.equal(one, other) for one, other in zip(weights(task.model), before, strict=True))
    assert trainer.precision_plugin.scaler.get_scale() == 2.0**58


def test_weights_in_16_bits(tmp_path):
    said = "trainer.precision: weights of 16 bits do not change by small steps, and their averages never change"
    with pytest.raises(ConfigError, match=said):
        fit(small_gan(), tmp_path, batches(1), precision="bf16-true")


def test_an_unknown_loss_is_refused():
    with pytest.raises(ConfigError) as error:
        small_gan(loss="non_saturation")
    said = str(error.value)
    assert "task.loss: there is no adversarial loss 'non_saturation'. Did you mean non_saturating?" in said
    assert (
        "Allowed: hinge, least_squares, minimax, non_saturating, relativistic, relativistic_average, wasserstein"
        in said
    )


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"regularisers": {"flat": {"_target_": "aigc.losses.Hinge"}}}, "task.regularisers.flat._target_"),
        ({"loss": {"_target_": "aigc.losses.R1"}}, "task.loss._target_"),
        ({"augmentation": {"_target_": "aigc.losses.R1"}}, "task.augmentation._target_"),
        ({"regularisers": regularisers(R1={"gama": 1})}, "task.regularisers.r1"),
    ],
)
def test_a_part_that_is_something_else_is_named(settings, key):
    with pytest.raises(ConfigError) as error:
        small_gan(**settings)
    assert [problem.key for problem in error.value.problems] == [key]


def test_an_argument_that_the_discriminators_optimiser_does_not_take(tmp_path):
    make = factory({"_target_": "torch.optim.Adam", "lr": 1e-3}, torch.optim.Optimizer, "optimizer")
    task = small_gan(optimizer=make, discriminator_optimizer={"momentum": 0.9})
    with pytest.raises(ConfigError, match="unexpected keyword argument 'momentum'") as error:
        fit(task, tmp_path, batches(1))
    assert [problem.key for problem in error.value.problems] == ["task.discriminator_optimizer"]
    wrong = factory({"_target_": "torch.optim.Adam", "lr": -1.0}, torch.optim.Optimizer, "optimizer")
    with pytest.raises(ConfigError, match="Invalid learning rate") as error:
        fit(small_gan(optimizer=wrong), tmp_path, batches(1))
    assert [problem.key for problem in error.value.problems] == ["optimizer"]


@pytest.mark.parametrize("loss", ["relativistic", "relativistic_average", "wasserstein", "least_squares"])
def test_adaptive_augmentation_is_refused_where_signs_of_logits_mean_nothing(loss):
    adaptive = {"_target_": "aigc.augmentation.AdaptiveAugment"}
    with pytest.raises(ConfigError) as error:
        small_gan(loss=loss, augmentation=adaptive)
    said = str(error.value)
    assert "task.augmentation: AdaptiveAugment depends on the sign of the logits of real images" in said
    assert "take aigc.augmentation.ScheduledAugment or DiffAugment, or task.loss=non_saturating" in said
    small_gan(loss=loss, augmentation={"_target_": "aigc.augmentation.ScheduledAugment"})
    small_gan(loss="hinge", augmentation=adaptive)


@pytest.mark.parametrize(
    "name", ["pop", "a.b", "generator_loss", "fake_logit", "generator_learning_rate", "augmentation_probability"]
)
def test_reserved_names_of_regularisers_are_refused(name):
    with pytest.raises(ConfigError, match=rf"task\.regularisers\.{name}: this name is already in use"):
        small_gan(regularisers={name: {"_target_": "aigc.losses.R1", "gamma": 1.0}})

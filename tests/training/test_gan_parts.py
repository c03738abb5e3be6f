"""A batch in parts, averaged weights, and losses that are no numbers."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from aigc.callbacks import Checkpoints
from aigc.errors import DivergedRun, exit_code
from aigc.losses import NonSaturating
from aigc.models.averaging import Averaged
from aigc.models.images.gan.parts import spectral
from aigc.tasks import GanTask
from tests.training.gans import RATE, batches, fit, regularisers, small_gan, watch_gradients, weights, whole_gan

PENALTIES = regularisers(
    R1={"gamma": 2.0},
    R2={"gamma": 3.0, "every_n_steps": 2},
    GradientPenalty={"weight": 4.0},
    PathLength={"weight": 5.0, "every_n_steps": 1, "decay": 0.0},
)


def gradients_and_weights(folder: Path, **settings):
    # Adam would make much of rounding where a derivative is 0, as that of a bias is in a relativistic loss.
    plain = partial(torch.optim.SGD, lr=0.05)
    task = small_gan(d_spectral=False, regularisers=PENALTIES, optimizer=plain, **settings)
    task.regularisers["pathlength"].average.fill_(0.3)
    with watch_gradients() as found:
        fit(task, folder, batches(3, size=16))
    return found, weights(task.model), task.latest


@pytest.mark.parametrize("loss", ["relativistic", "least_squares"])
def test_micro_batches_are_one_batch(loss, tmp_path):
    whole, trained, logged = gradients_and_weights(tmp_path, loss=loss)
    for micro_batches in (2, 4):
        parts, of_parts, of_log = gradients_and_weights(tmp_path, loss=loss, micro_batches=micro_batches)
        assert len(parts) == len(whole) == 3 * 2 + 2
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(of_parts, trained, rtol=1e-4, atol=1e-6)
        assert of_log == pytest.approx(logged, rel=1e-4, abs=1e-6)


def test_the_comparison_of_micro_batches_would_notice_batch_statistics(tmp_path):
    task, whole = (small_gan(g_batch_norm=True, micro_batches=number) for number in (2, 1))
    with watch_gradients() as found:
        fit(task, tmp_path, batches(1, size=16))
        fit(whole, tmp_path, batches(1, size=16))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found[:2], found[2:], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("ramp_up", [None, 0.5])
def test_the_averaged_generator_is_the_closed_form(ramp_up, tmp_path):
    task = small_gan(g_batch_norm=True, half_life=24, ramp_up=ramp_up)
    steps, plain = [weights(task.model.generator)], task.averaged.update

    def update(network, images, seen):
        steps.append(weights(network))
        plain(network, images, seen)

    task.averaged.update = update
    fit(task, tmp_path, batches(5))
    expected = [one.double() for one in steps[0]]
    for step, found in enumerate(steps[1:]):
        half_life = 24 if ramp_up is None else min(24, 8 * step * ramp_up)
        keep = 0.5 ** (8 / half_life) if half_life else 0.0
        expected = [keep * old + (1 - keep) * new for old, new in zip(expected, found, strict=True)]
    averaged = weights(task.averaged)
    torch.testing.assert_close([one.double() for one in averaged], expected, rtol=1e-5, atol=1e-7)
    assert all(not torch.equal(one, last) for one, last in zip(averaged, steps[-1], strict=True))


def test_a_weight_counts_half_after_the_half_life():
    zero, one = nn.Linear(2, 2), nn.Linear(2, 2)
    for network, value in ((zero, 0.0), (one, 1.0)):
        for parameter in network.parameters():
            nn.init.constant_(parameter, value)
    averaged = Averaged(zero, half_life=30, ramp_up=None)
    for seen in range(0, 30, 10):
        averaged.update(one, 10, seen)
    assert torch.allclose(averaged.module.weight, torch.full((2, 2), 0.5))
    assert not zero.weight.any()
    averaged.half_life = 0
    averaged.update(one, 10, 30)
    assert torch.equal(averaged.module.weight, one.weight)


def test_averages_are_normalised_by_their_own_singular_values():
    """The live network's vectors, which were copied once, are those of another matrix."""
    torch.manual_seed(0)
    network = nn.Sequential(spectral(nn.Conv2d(3, 8, 3), True), nn.Flatten(), spectral(nn.Linear(8 * 36, 5), True))
    averaged = Averaged(network, half_life=50, ramp_up=None)
    for step in range(150):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
        network(torch.randn(2, 3, 8, 8))
        averaged.update(network, 2, 2 * step)
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in averaged.module[::2]]
    assert torch.stack(norms).tolist() == pytest.approx([1, 1], rel=3e-3)
    before = averaged.state_dict()
    for own, live in zip(averaged.module[::2], network[::2], strict=True):
        own.parametrizations.weight[0]._u.copy_(live.parametrizations.weight[0]._u)
        own.parametrizations.weight[0]._v.copy_(live.parametrizations.weight[0]._v)
    borrowed = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2) for layer in averaged.module[::2]]
    assert max(borrowed) > 1.01
    assert any(name.endswith("_u") for name in before)


def test_the_averaged_generator_makes_the_images_and_is_saved_but_never_trained(tmp_path):
    task = small_gan(g_batch_norm=True)
    trainer = fit(task, tmp_path, batches(3), callbacks=[Checkpoints(None)])
    averaged, trained = task.averaged.module, task.model.generator
    buffers = dict(trained.named_buffers())
    equal = {name: torch.equal(one, buffers[name]) for name, one in averaged.named_buffers()}
    assert equal == {
        "layers.1.running_mean": False,
        "layers.1.running_var": False,
        "layers.1.num_batches_tracked": True,
    }
    optimised = {id(p) for optimizer in trainer.optimizers for group in optimizer.param_groups for p in group["params"]}
    assert optimised == {id(parameter) for parameter in task.model.parameters()}
    assert not optimised & {id(parameter) for parameter in averaged.parameters()}
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    task.eval()
    latents = task.latents(4)
    assert torch.equal(task.generate(latents, {}), averaged(latents))
    assert not torch.equal(task.generate(latents, {}), trained(latents))
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    for name, value in averaged.state_dict().items():
        assert torch.equal(saved[f"averaged.module.{name}"], value)


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_loss_that_is_not_finite_stops_before_the_optimiser_step(phase, tmp_path, monkeypatch):
    task = small_gan()
    before = {name: weights(network) for name, network in task.networks().items()}
    averaged = weights(task.averaged)
    monkeypatch.setattr(NonSaturating, phase, lambda self, real, fake: fake.mean() * float("nan"))
    with pytest.raises(DivergedRun, match="step 1, batch 0") as error:
        fit(task, tmp_path, batches(2))
    assert exit_code(error.value) == 3
    assert task.global_step == 0
    after = {name: weights(network) for name, network in task.networks().items()}
    assert equal(after[phase], before[phase])
    assert equal(after["generator"], before["generator"])
    assert equal(weights(task.averaged), averaged)
    assert equal(after["discriminator"], before["discriminator"]) == (phase == "discriminator")


def test_a_gradient_that_is_not_finite_stops_before_a_clipped_step(tmp_path, monkeypatch):
    def rough(self, real, fake):
        return (fake - fake.detach()).mean().sqrt()  # 0, and steep without end

    monkeypatch.setattr(NonSaturating, "generator", rough)
    task = small_gan(generator_clip=1.0, optimizer=partial(torch.optim.SGD, lr=RATE))
    before = weights(task.model.generator)
    with pytest.raises(DivergedRun, match="the training loss or its gradient is not finite"):
        fit(task, tmp_path, batches(1))
    assert equal(weights(task.model.generator), before)


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class NoReading(TorchDispatchMode):
    """Refuses to give a number of a tensor to Python, for which a device would have to be waited."""

    def __torch_dispatch__(self, called, types, arguments=(), settings=None):
        assert called is not torch.ops.aten._local_scalar_dense.default, "a number was read back"
        return called(*arguments, **(settings or {}))


def test_a_step_reads_no_number_back_from_the_device(tmp_path, monkeypatch):
    """Adam reads its own counts, which lie on the CPU; losses are looked at there alone (`Task.check_finite`)."""
    monkeypatch.setattr(GanTask, "check_finite", lambda *_, **__: None)
    task, plain = whole_gan(optimizer=torch.optim.SGD, generator_clip=1.0, micro_batches=2), GanTask.training_step
    steps = []

    def training_step(self, batch, batch_index):
        with NoReading():
            steps.append(plain(self, batch, batch_index))

    monkeypatch.setattr(GanTask, "training_step", training_step)
    fit(task, tmp_path, batches(3, classes=3), log_every_n_steps=2)
    assert len(steps) == 3
    with NoReading(), pytest.raises(AssertionError, match="read back"):
        float(torch.ones(()))

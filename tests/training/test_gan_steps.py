"""How steps are counted, and what one step does, against plain PyTorch with losses written out."""

from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from aigc.callbacks import Checkpoints
from aigc.data.images import to_float
from tests.training.gans import BETAS, RATE, Batch, batches, fit, regularisers, small_gan, watch_latents, weights

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize("n_critic", [1, 2, 5])
def test_steps_are_those_of_the_generator(n_critic, tmp_path):
    def halve_every_third(optimizer, total_steps):
        asked.append(total_steps)
        return torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)

    asked: list[int] = []
    task = small_gan(n_critic=n_critic, scheduler=halve_every_third)
    saver = Checkpoints(None, every_n_steps=3, every_n_minutes=None, keep=9)
    trainer = fit(task, tmp_path, batches(9, size=10), max_steps=7, callbacks=[saver])
    assert task.global_step == task.steps_done == 7
    assert sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*.ckpt")) == [
        "step-000003.ckpt",
        "step-000006.ckpt",
        "step-000007.ckpt",
    ]
    saved = torch.load(tmp_path / "checkpoints/step-000006.ckpt", weights_only=True)
    assert saved["global_step"] == 6
    assert [scheduler["last_epoch"] for scheduler in saved["lr_schedulers"]] == [6, 6]
    of_generator, of_discriminator = trainer.optimizers
    assert {int(state["step"]) for state in of_generator.state.values()} == {7}
    assert {int(state["step"]) for state in of_discriminator.state.values()} == {7 * n_critic}
    assert asked == [7, 7]
    assert [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers] == [RATE / 4, RATE / 4]


class Plain:
    """The same networks trained by a loop of a few lines."""

    def __init__(self, task, latents: list[Tensor], share: float = 1.0) -> None:
        self.generator = deepcopy(task.model.generator)
        self.discriminator = deepcopy(task.model.discriminator)
        betas = tuple(beta**share for beta in BETAS)
        self.of_generator = torch.optim.Adam(self.generator.parameters(), RATE, BETAS)
        self.of_discriminator = torch.optim.Adam(self.discriminator.parameters(), RATE * share, betas)
        self.latents = latents

    def logits(self, images: Tensor) -> Tensor:
        return self.discriminator(images).logits

    def made(self) -> Tensor:
        return self.generator(self.latents.pop(0))

    def step(self, optimizer: torch.optim.Optimizer, loss: Tensor, stale: bool = False) -> None:
        if not stale:
            self.of_generator.zero_grad()
            self.of_discriminator.zero_grad()
        loss.backward()
        optimizer.step()

    def assert_equal(self, task) -> None:
        for ours, theirs in [(task.model.generator, self.generator), (task.model.discriminator, self.discriminator)]:
            torch.testing.assert_close(weights(ours), weights(theirs), **CLOSE)


def softplus(numbers: Tensor) -> Tensor:
    return torch.log1p(numbers.exp())


def squared_slopes(plain: Plain, images: Tensor) -> Tensor:
    images = images.detach().requires_grad_()
    (slopes,) = torch.autograd.grad(plain.logits(images).sum(), images, create_graph=True)
    return slopes.square().sum((1, 2, 3)).mean()


def non_saturating(plain: Plain, batch: Batch, n_critic: int, stale: bool = False) -> None:
    for real in to_float(batch["images"]).split(len(batch["images"]) // n_critic):
        loss = softplus(-plain.logits(real)).mean() + softplus(plain.logits(plain.made().detach())).mean()
        plain.step(plain.of_discriminator, loss, stale)
    plain.step(plain.of_generator, softplus(-plain.logits(plain.made())).mean(), stale)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_step_is_that_of_a_plain_loop(n_critic, tmp_path):
    task, given = small_gan(n_critic=n_critic, d_spectral=False), batches(3)
    drawn = watch_latents(task)
    plain, careless = (Plain(task, drawn) for _ in range(2))
    fit(task, tmp_path, given)
    assert [len(latents) for latents in drawn] == 3 * [8 // n_critic] * (n_critic + 1)
    careless.latents = list(drawn)
    for batch in given:
        non_saturating(plain, batch, n_critic)
        non_saturating(careless, batch, n_critic, stale=True)
    plain.assert_equal(task)
    with pytest.raises(AssertionError):  # gradients that are left over from the other phase would be noticed
        careless.assert_equal(task)


def test_a_step_with_r1_and_r2_is_that_of_a_plain_loop(tmp_path):
    penalties = regularisers(R1={"gamma": 3.0}, R2={"gamma": 5.0})
    task, given = small_gan(loss="relativistic", regularisers=penalties, d_spectral=False), batches(3)
    plain = Plain(task, watch_latents(task))
    fit(task, tmp_path, given)
    for batch in given:
        real, fake = to_float(batch["images"]), plain.made().detach()
        loss = softplus(plain.logits(fake) - plain.logits(real)).mean()
        loss = loss + 3 / 2 * squared_slopes(plain, real) + 5 / 2 * squared_slopes(plain, fake)
        plain.step(plain.of_discriminator, loss)
        loss = softplus(plain.logits(real) - plain.logits(plain.made())).mean()
        plain.step(plain.of_generator, loss)
    plain.assert_equal(task)


def test_a_lazy_penalty_has_a_step_of_its_own_and_rate_and_betas_to_match(tmp_path):
    task = small_gan(regularisers=regularisers(R1={"gamma": 3.0, "every_n_steps": 4}), d_spectral=False)
    given = batches(9)
    plain = Plain(task, watch_latents(task), share=4 / 5)
    trainer = fit(task, tmp_path, given)
    for number, batch in enumerate(given):
        real = to_float(batch["images"])
        loss = softplus(-plain.logits(real)).mean() + softplus(plain.logits(plain.made().detach())).mean()
        plain.step(plain.of_discriminator, loss)
        if number % 4 == 0:
            plain.made()  # images are made for penalties, too
            plain.step(plain.of_discriminator, 4 * 3 / 2 * squared_slopes(plain, real))
        plain.step(plain.of_generator, softplus(-plain.logits(plain.made())).mean())
    plain.assert_equal(task)
    assert task.global_step == 9
    assert max(int(state["step"]) for state in trainer.optimizers[1].state.values()) == 9 + 3


def test_the_generators_lazy_penalty_is_a_step_that_does_not_count(tmp_path):
    path_length = regularisers(PathLength={"every_n_steps": 2})
    changed = {"lr": 1e-3, "betas": (0.2, 0.8)}
    task = small_gan(regularisers=path_length, discriminator_optimizer=changed)
    of_generator, of_discriminator = fit(task, tmp_path, batches(5)).optimizers
    assert task.global_step == 5
    assert {int(state["step"]) for state in of_generator.state.values()} == {5 + 3}
    share = 2 / 3
    assert of_generator.param_groups[0]["lr"] == pytest.approx(RATE * share)
    assert of_generator.param_groups[0]["betas"] == pytest.approx([beta**share for beta in BETAS])
    assert of_discriminator.param_groups[0]["lr"] == 1e-3
    assert of_discriminator.param_groups[0]["betas"] == (0.2, 0.8)


def test_lazy_penalties_are_counted_in_steps_of_the_discriminator(tmp_path):
    penalties = regularisers(R1={"gamma": 1.0, "every_n_steps": 4}, R2={"gamma": 1.0, "every_n_steps": 3})
    task = small_gan(n_critic=2, regularisers=penalties)
    optimizer = fit(task, tmp_path, batches(5)).optimizers[1]
    assert max(int(state["step"]) for state in optimizer.state.values()) == 10 + 3 + 4
    assert optimizer.param_groups[0]["lr"] == pytest.approx(RATE / (1 + 1 / 4 + 1 / 3))


def test_each_phase_derives_by_its_own_weights_alone(tmp_path):
    """What the discriminator is shown has no graph; it is frozen where the generator learns, and only there."""
    task, seen = small_gan(d_spectral=False), []
    one, other = task.model.generator, task.model.discriminator

    def note(network, given):
        learns = [any(parameter.requires_grad for parameter in part.parameters()) for part in (one, other)]
        before = [None if p.grad is None else p.grad.clone() for p in other.parameters()]
        seen.append((given[0].requires_grad, *learns, before))

    other.register_forward_pre_hook(note)
    fit(task, tmp_path, batches(2))
    assert [facts[:3] for facts in seen] == [(False, True, True), (True, True, False)] * 2
    assert all(parameter.requires_grad for parameter in other.parameters())
    for parameter, before in zip(other.parameters(), seen[-1][3], strict=True):
        assert torch.equal(parameter.grad, before)


def test_what_learns_is_put_back_after_an_error_and_what_does_not_stays_so(tmp_path):
    task = small_gan(d_spectral=False)
    network = task.model.discriminator
    network.layers[0].bias.requires_grad_(False)
    fit(task, tmp_path, batches(1))
    learns = [parameter.requires_grad for parameter in network.parameters()]
    assert learns == [True, False, True, True]

    def break_down(_, given):
        if given[0].requires_grad:
            raise ArithmeticError

    network.register_forward_pre_hook(break_down)
    with pytest.raises(ArithmeticError):
        fit(task, tmp_path, batches(1))
    assert [parameter.requires_grad for parameter in network.parameters()] == learns


def test_gradients_are_clipped_for_each_network_by_its_own_limit(tmp_path):
    task = small_gan(generator_clip=0.01, discriminator_clip=0.02, optimizer=partial(torch.optim.SGD, lr=1.0))
    before = [weights(network) for network in task.networks().values()]
    fit(task, tmp_path, batches(1))
    moved = [
        nn.utils.get_total_norm([a - b for a, b in zip(weights(network), old, strict=True)])
        for network, old in zip(task.networks().values(), before, strict=True)
    ]
    assert [float(norm) for norm in moved] == pytest.approx([0.01, 0.02], rel=1e-3)
    assert task.latest["train/generator_gradient_norm"] > 0.01
    assert task.latest["train/discriminator_gradient_norm"] > 0.02


def test_more_losses_than_announced_are_refused(tmp_path):
    task = small_gan(micro_batches=2)
    plain = task.minimise
    task.minimise = lambda which, losses, count, **counts: plain(which, losses, **counts)
    with pytest.raises(ValueError, match=r"expected 1 loss \(count\) and got 2"):
        fit(task, tmp_path, batches(1))

"""What only a GPU can show: that nothing waits for it, and that its bits, too, are those of an unbroken run."""

from typing import Any

import pytest
import torch

from aigc.errors import DivergedRun
from tests.training.gans import batches, fit, regularisers, small_gan, watch_gradients, whole_gan
from tests.training.resumable import differences, final_state, rows, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture
def refuse_waiting():
    """Any operation that waits for the device is an error while a step is trained."""

    def watch(task):
        plain = task.training_step

        def step(batch: Any, batch_idx: int) -> None:
            torch.cuda.set_sync_debug_mode("error")
            try:
                plain(batch, batch_idx)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        task.training_step = step
        return task

    yield watch
    torch.cuda.set_sync_debug_mode("default")


PENALTIES = regularisers(
    R1={"gamma": 1.0}, R2={"gamma": 1.0, "every_n_steps": 2}, GradientPenalty={}, DRAGAN={}, LeCam={}, Consistency={},
    PathLength={"every_n_steps": 2},
)  # fmt: skip


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_no_step_waits_for_the_device(refuse_waiting, precision, tmp_path):
    adaptive = {"_target_": "aigc.augmentation.AdaptiveAugment", "noise": 1.0, "filtering": 1.0, "cutout": 1.0}
    settings = {"regularisers": PENALTIES, "augmentation": adaptive, "n_critic": 2, "g_batch_norm": True}
    task = refuse_waiting(small_gan(3, loss="hinge", **settings))
    told = {"accelerator": "gpu", "precision": precision, "log_every_n_steps": 3}
    fit(task, tmp_path, batches(6, classes=3), **told)
    assert task.global_step == 6


def test_waiting_would_be_noticed(refuse_waiting, tmp_path):
    task = refuse_waiting(small_gan())

    def wait(_, given):
        given[0].sum().item()

    task.model.discriminator.register_forward_pre_hook(wait)
    with pytest.raises(RuntimeError, match="synchroniz"):
        fit(task, tmp_path, batches(1), accelerator="gpu")


@pytest.mark.parametrize("batch", [4, 11, 17])
def test_resume_is_bit_exact(batch, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # as a worker does
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    on_gpu = {"accelerator": "gpu", "deterministic": True}
    assert train("gan", whole, **on_gpu)
    assert not train("gan", broken, signal_at_batch=batch, **on_gpu)
    assert train("gan", broken, **on_gpu)
    assert differences(final_state(broken), final_state(whole)) == []
    assert rows(broken) == rows(whole)


def test_compiled_gradients_are_those_of_eager_ones(tmp_path):
    found = []
    for compiled in (False, True):
        torch._dynamo.reset()
        task = small_gan(loss="relativistic", regularisers=regularisers(R1={"gamma": 1.0}, R2={"gamma": 2.0}),
                         compile=compiled)  # fmt: skip
        with watch_gradients() as gradients:
            fit(task, tmp_path, batches(3), accelerator="gpu")
        found.append(gradients)
    assert len(found[0]) == 6
    torch.testing.assert_close(found[1], found[0], rtol=1e-4, atol=1e-5)


def test_a_step_on_the_device_is_that_on_the_processor(tmp_path):
    """But for rounding: what is random is drawn by each device's own generator, so nothing random but latents here."""
    found = []
    for accelerator in ("cpu", "gpu"):
        task = small_gan(regularisers=regularisers(R1={"gamma": 1.0}))
        with watch_gradients() as gradients:
            fit(task, tmp_path, batches(2), accelerator=accelerator)
        found.append([[one.cpu() for one in step] for step in gradients])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-4)


def test_a_loss_that_is_not_finite_ends_the_run_and_is_never_saved(tmp_path):
    task = whole_gan()
    task._phases.generator.shown = lambda images: images * float("nan")
    with pytest.raises(DivergedRun, match="at step 1, batch 0"):
        fit(task, tmp_path, batches(4, classes=3), accelerator="gpu", log_every_n_steps=4)

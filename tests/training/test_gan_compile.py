"""What is compiled is what is not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from tests.training.gans import batches, fit, regularisers, small_gan, watch_gradients

pytestmark = pytest.mark.slow


def trained(folder: Path, compile: bool, **settings: Any):
    torch._dynamo.reset()
    task = small_gan(compile=compile, compile_backend="aot_eager", **settings)
    with watch_gradients() as found:
        fit(task, folder, batches(2, classes=settings.get("classes", 0)))
    return found, task.latest


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "relativistic", "regularisers": regularisers(R1={"gamma": 1.0}, R2={"gamma": 2.0})},
        {
            "loss": "hinge",
            "regularisers": regularisers(GradientPenalty={}, LeCam={}),
            "classes": 3,
            "g_batch_norm": True,
        },
    ],
    ids=["relativistic_r1_r2", "hinge_gradient_penalty"],
)
def test_compiled_losses_and_gradients_are_those_of_eager_ones(settings, tmp_path):
    eager, told = trained(tmp_path, False, **settings)
    counters.clear()
    compiled, told_compiled = trained(tmp_path, True, **settings)
    assert counters["stats"]["unique_graphs"] >= 2
    assert not counters["graph_break"]
    assert len(compiled) == len(eager) == 4
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=1e-6)
    assert told_compiled == pytest.approx(told, rel=1e-6, abs=1e-6)


def test_a_compiled_network_alone_could_not_be_derived_twice():
    """Why the whole loss is compiled; should this fail one day, `DiscriminatorObjective` could be simpler."""
    network = small_gan().model.discriminator
    judge = torch.compile(network, backend="aot_eager")
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    (slopes,) = torch.autograd.grad(judge(images).logits.sum(), images, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        slopes.square().sum().backward()

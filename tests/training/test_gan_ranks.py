"""Two ranks with halves of a batch are one rank with the whole."""

from typing import Any

import pytest
import torch

from tests.training.gan_ranks import CASES
from tests.training.rank_worlds import found_by_ranks

pytestmark = pytest.mark.slow
Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """What one rank has found alone, and each of two."""
    return found_by_ranks("tests.training.gan_ranks", tmp_path_factory.mktemp("ranks"))


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_whole_batch(case, found):
    one, *two = (of_rank[case] for of_rank in found)
    lazy = -(-CASES[case]["n_critic"] // 2) if "lazy" in case else 0
    assert len(one["gradients"]) == CASES[case]["n_critic"] + 1 + lazy
    assert all(any(gradient.any() for gradient in step) for step in one["gradients"])
    for rank in two:
        torch.testing.assert_close(rank["gradients"], one["gradients"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(rank["averaged"], one["averaged"], rtol=1e-5, atol=1e-6)
        assert rank["recorded"] == pytest.approx(one["recorded"], rel=1e-4, abs=1e-5)


def test_each_rank_draws_latents_of_its_own(found):
    one, other = (rank["in_earnest"]["latents"] for rank in found[1:])
    assert one.shape == other.shape
    assert not torch.isin(one, other).any()


def test_all_that_is_trained_or_adapts_is_the_same_on_all_ranks(found):
    one, other = (rank["in_earnest"] for rank in found[1:])
    assert any(name.startswith("averaged.module") for name in one["state"])
    assert one["state"]["augmentation.probability"] > 0
    assert one["state"].keys() == other["state"].keys()
    assert [name for name, value in one["state"].items() if not torch.equal(value, other["state"][name])] == []
    assert one["recorded"] == other["recorded"]


def test_running_statistics_are_those_of_the_first_rank(found):
    one, other = (rank["in_earnest"] for rank in found[1:])
    name = "generator.layers.1.running_mean"
    assert not torch.equal(one["own"][name], other["own"][name])
    for buffer, value in one["own"].items():
        assert torch.equal(other["state"][f"model.{buffer}"], value), buffer


def test_a_loss_that_is_not_finite_on_one_rank_stops_all(found):
    for rank in found[1:]:
        assert "the training loss or its gradient is not finite at step 1" in rank["diverging"]


def test_a_weight_that_is_not_finite_on_one_rank_stops_all(found):
    for rank in found[1:]:
        assert rank["diverged"] == "weights are not finite after step 1; lower optimizer.lr and start a new run"

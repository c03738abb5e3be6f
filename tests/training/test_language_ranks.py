"""Two ranks with halves of a batch are one rank with the whole, and name the batch that diverged."""

from typing import Any

import pytest
import torch

from tests.training.language_ranks import BAD
from tests.training.rank_worlds import found_by_ranks


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What one rank has found alone, and each of two."""
    return found_by_ranks("tests.training.language_ranks", tmp_path_factory.mktemp("ranks"))


def test_a_step_is_normalised_by_the_targets_of_all_ranks(found):
    alone, *ranks = (one["trained"] for one in found)
    for rank in ranks:
        torch.testing.assert_close(rank["weights"], alone["weights"], rtol=2e-5, atol=1e-6)
        assert rank["loss"] == pytest.approx(alone["loss"], rel=2e-5)


def test_every_validation_set_has_the_same_scores_on_any_number_of_ranks(found):
    alone, *ranks = (one["measured"] for one in found)
    assert {"val/perplexity", "val/more/perplexity"} <= alone.keys()
    assert alone["val/perplexity"] != alone["val/more/perplexity"]
    for rank in ranks:
        assert rank == pytest.approx(alone, rel=1e-6)


def test_ranks_are_asked_once_a_step_for_their_targets(found):
    two_micro_batches_and_the_step = [0, 0, 1]
    for one in found[1:]:
        assert one["trained"]["reductions"] == two_micro_batches_and_the_step * 3


@pytest.mark.parametrize(("case", "micro_batches"), [("plain", 1), ("accumulating", 4), ("clipped", 2)])
def test_the_earliest_bad_batch_of_any_rank_is_named(case, micro_batches, found):
    for one in found[1:]:
        assert f"at step {BAD // micro_batches + 1}, batch {BAD}, training samples" in one[case]
    assert found[1][case] == found[2][case]


def test_all_ranks_see_the_same_values_and_end_at_the_same_step(found):
    one, other = (rank["stopping"] for rank in found[1:])
    assert one["seen"] == other["seen"]
    assert {"train/loss", "train/tokens_per_second", "val/perplexity"} <= set(one["seen"][0])
    assert one["steps"] == other["steps"] == 6
    assert all(torch.equal(one["weights"][name], other["weights"][name]) for name in one["weights"])

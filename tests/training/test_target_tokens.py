"""The tokens of an optimiser step say how many batches it has."""

import pytest

from aigc.config import ConfigError, check, compose
from aigc.config.accumulation import accumulation
from aigc.launch.ranks.group import Ranks
from aigc.launch.trainer import with_accumulation
from tests.training.in_process import tiny_config, train, values

KEY = "trainer.target_tokens_per_step"


@pytest.mark.slow
def test_a_step_has_the_batches_that_make_up_its_tokens(own_place):
    sizes = ["data.batch_size=2", "trainer.max_steps=3"]
    tokens = 4 * tiny_config(own_place, *sizes).data.sequence_length
    asked = train(own_place, *sizes, f"{KEY}={tokens}")
    counted = train(own_place, *sizes, "trainer.accumulate_grad_batches=2")
    assert values(asked, "train/loss") == values(counted, "train/loss")
    assert len(values(asked, "train/loss")) == 3
    assert asked.config.trainer.target_tokens_per_step == tokens
    assert asked.config.trainer.accumulate_grad_batches == 1, "the config keeps what was asked for"


@pytest.mark.parametrize(("ranks", "batches"), [(1, 8), (2, 4), (8, 1)])
def test_more_ranks_take_fewer_batches_each(ranks, batches):
    assert accumulation(8 * 4 * 32, 4, 32, ranks) == batches


def test_ranks_that_share_a_batch_count_once(own_place):
    cfg = compose([f"{KEY}=16384", "data.batch_size=8", "data.sequence_length=256", "trainer.devices=4"])
    cfg.trainer.tensor_parallel_size = 2

    class Data:
        batch_size, sequence_length = 8, 256

    settled = with_accumulation(cfg, Data, Ranks(world_size=4))
    assert settled.trainer.accumulate_grad_batches == 4
    assert cfg.trainer.accumulate_grad_batches == 1


@pytest.mark.parametrize(
    "typed",
    [
        [f"{KEY}=5000"],
        [f"{KEY}=3328", "trainer.devices=4"],
        [f"{KEY}=3328", "trainer.accumulate_grad_batches=2"],
        [f"{KEY}=4096", "experiment=gan/letters"],
    ],
)
def test_tokens_that_no_batches_make_up_are_refused(typed, own_place):
    with pytest.raises(ConfigError) as refused:
        check(compose(["data.batch_size=8", *typed] if "gan" not in typed[-1] else typed))
    assert [problem.key for problem in refused.value.problems] == [KEY]


def test_the_same_are_taken_where_they_fit(own_place):
    check(compose(["data.batch_size=8", f"{KEY}={8 * 208 * 2}"]))
    check(compose(["data.batch_size=8", f"{KEY}={8 * 208 * 2}", "trainer.devices=2"]))

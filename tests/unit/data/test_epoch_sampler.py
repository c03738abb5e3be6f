"""The order of rows depends on seed and epoch and on nothing else."""

import random
import tracemalloc

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc.data.sampler import EpochSampler


def order(length: int, seed: int, epoch: int) -> list[int]:
    sampler = EpochSampler(length, seed)
    sampler.set_epoch(epoch)
    return list(sampler)


@given(st.integers(0, 200), st.integers(0, 2**32), st.integers(0, 1000))
def test_order_is_a_permutation_decided_by_seed_and_epoch(length: int, seed: int, epoch: int) -> None:
    random.seed(length), np.random.seed(1), torch.manual_seed(length)
    first = order(length, seed, epoch)
    assert sorted(first) == list(range(length))
    sampler = EpochSampler(length, seed)
    list(sampler)  # an epoch that ran before leaves no trace
    random.seed(2), np.random.seed(2), torch.manual_seed(2)
    sampler.set_epoch(epoch)
    assert list(sampler) == first


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_the_order_is_the_same_on_every_machine_and_release() -> None:
    assert order(8, 0, 0) == [3, 6, 4, 0, 7, 5, 2, 1]


def test_sampling_leaves_the_global_generators_alone() -> None:
    before = (torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate())
    order(100, 0, 3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    assert before[2] == random.getstate()


def test_without_shuffling_rows_come_in_order() -> None:
    sampler = EpochSampler(5, 0, shuffle=False)
    sampler.set_epoch(3)
    assert list(sampler) == [0, 1, 2, 3, 4]
    assert len(sampler) == 5


def test_an_order_takes_no_more_memory_than_its_numbers() -> None:
    sampler = EpochSampler(1_000_000, 0)
    tracemalloc.start()
    iterator = iter(sampler)
    first = next(iterator)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert type(first) is int
    assert peak < 20 * len(sampler)  # 8 bytes each, and those of a copy; a list would take 36


def grouped_order(lengths, batch, seed=0, epoch=0, start=0, rank=0, world_size=1):
    sampler = EpochSampler(len(lengths), seed, True, rank, world_size, lengths=np.array(lengths), batch=batch)
    sampler.set_epoch(epoch)
    sampler.start = start
    return list(sampler)


@given(st.lists(st.integers(1, 300), max_size=300), st.integers(1, 9), st.integers(0, 99), st.integers(0, 9))
def test_a_grouped_order_is_a_permutation_too_that_can_be_entered_anywhere(lengths, batch, seed, epoch):
    whole = grouped_order(lengths, batch, seed, epoch)
    assert sorted(whole) == list(range(len(lengths)))
    assert grouped_order(lengths, batch, seed, epoch, start=len(lengths) // 2) == whole[len(lengths) // 2 :]


def test_grouping_saves_padding_and_keeps_batches_and_what_is_left_out_random():
    lengths = np.random.default_rng(0).geometric(0.02, 3210).clip(1, 256)

    def padding(order):
        batches = lengths[np.array(order[: len(order) // 16 * 16])].reshape(-1, 16)
        return 1 - batches.sum() / (16 * batches.max(1).sum())

    plain, one, other = order(3210, 0, 0), grouped_order(lengths, 16), grouped_order(lengths, 16, epoch=1)
    assert padding(plain) > 0.6
    assert padding(one) < 0.1
    batches, others = (
        {frozenset(batch) for batch in np.array(o[:3200]).reshape(-1, 16).tolist()} for o in (one, other)
    )
    assert not batches & others
    longest = lengths[np.array(one)[:3200].reshape(-1, 16)].max(1)
    assert abs(np.corrcoef(longest, np.arange(200))[0, 1]) < 0.2, "batches come in no order of length"
    assert set(one[3200:]) != set(other[3200:])


def test_the_batch_of_all_ranks_is_the_same_for_any_number_of_ranks():
    lengths = np.random.default_rng(0).integers(1, 99, 120)
    alone = np.array(grouped_order(lengths, 12)).reshape(-1, 12)
    ranks = [np.array(grouped_order(lengths, 12, rank=rank, world_size=3)).reshape(-1, 4) for rank in range(3)]
    assert np.array_equal(np.sort(np.concatenate(ranks, 1), 1), np.sort(alone, 1))

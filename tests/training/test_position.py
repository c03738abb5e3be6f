"""Going on with another batch size, number of ranks, or other data: every sample of the epoch comes at most once."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aigc.callbacks.position import Order, Position, loop_state, moved
from aigc.data.loader import training_loader
from aigc.errors import InputError

small = st.integers(1, 5)


def order(length: int, batch_size: int, world_size: int, accumulate: int, **more: object) -> Order:
    batches = length // (batch_size * world_size)
    return Order(batches - batches % accumulate, accumulate, length, batch_size, world_size, 0, **more)


def at(saved: Order, steps: int) -> Position:
    """After so many steps."""
    total = steps * saved.accumulate
    epoch, batch = divmod(total, saved.batches)
    return Position(total, epoch, batch, batch * saved.batch_size * saved.world_size)


@given(st.integers(30, 200), small, small, small, st.integers(0, 100))
def test_the_same_settings_go_on_where_they_were(length, batch_size, world_size, accumulate, steps):
    saved = order(length, batch_size, world_size, accumulate)
    assume(saved.batches)
    assert moved(at(saved, steps), saved, saved, ()) == at(saved, steps)


@given(st.integers(30, 200), small, small, small, small, small, small, st.integers(0, 100))
def test_other_batches_go_on_at_the_same_sample(length, b1, w1, a1, b2, w2, a2, steps):
    saved, now = order(length, b1, w1, a1), order(length, b2, w2, a2)
    assume(saved.batches)
    assume(now.batches)
    before = at(saved, steps)
    position = moved(before, saved, now, ("batch_size", "world_size"))
    assert position.total == steps * a2  # validations and schedules count steps
    assert position.batch % a2 == 0
    left = (now.batches - position.batch) * b2 * w2
    if position.epoch == before.epoch:
        assert position.sample == before.sample
        assert position.sample + left <= length
        assert left + b2 * w2 * a2 > length - position.sample or position.batch == 0
    else:
        assert (position.epoch, position.batch, position.sample) == (before.epoch + 1, 0, 0)
        assert length - before.sample < b2 * w2 * a2


@given(st.integers(10, 60), small, st.integers(1, 3), st.integers(0, 9))
def test_what_is_left_of_the_epoch_is_what_was_not_seen(length, batch_size, world_size, batches):
    def samples(start):
        loader = training_loader(range(length), batch_size, seed=5)
        loader.load_state_dict({"epoch": 3, "sample": start})
        return [int(i) for batch in loader for i in batch]

    seen = batches * batch_size * world_size
    assume(seen < length)
    assert samples(0)[seen : seen + len(samples(seen))] == samples(seen)


@given(st.integers(0, 100), st.integers(1, 4), st.integers(1, 4))
def test_ranks_share_one_order(length, world_size, batch_size):
    from aigc.data.sampler import EpochSampler

    alone = list(EpochSampler(length, 1))
    dealt = [list(EpochSampler(length, 1, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert len({len(part) for part in dealt}) == 1
    together = list(itertools.chain.from_iterable(zip(*dealt, strict=True)))
    assert together == alone[: len(together)]
    assert len(together) > length - world_size


def test_each_difference_is_named_with_both_values_and_its_own_word():
    saved = order(100, 4, 1, 1, fingerprint="a" * 64)
    cases = {
        "batch_size": (order(100, 5, 1, 1, fingerprint="a" * 64), "batch size was 4 and is 5"),
        "world_size": (order(100, 4, 2, 1, fingerprint="a" * 64), "number of ranks was 1 and is 2"),
        "data": (order(100, 4, 1, 1, fingerprint="b" * 64), "data fingerprint was aaaaaaaaaaaaaaaa and is bbbbbbb"),
    }
    for name, (now, said) in cases.items():
        with pytest.raises(InputError, match=said) as error:
            moved(at(saved, 3), saved, now, ())
        assert f"resume.allow=[{name}]" in str(error.value)
        others = [other for other in cases if other != name]
        with pytest.raises(InputError):
            moved(at(saved, 3), saved, now, others)
        moved(at(saved, 3), saved, now, (name,))


def test_ranks_that_compute_each_batch_together_are_a_number_of_ranks_too():
    saved, now = order(100, 4, 1, 1, together=2), order(100, 4, 1, 1, together=1)
    with pytest.raises(InputError, match=r"each batch together was 2 and is 1.*resume.allow=\[world_size\]"):
        moved(at(saved, 3), saved, now, ())
    assert moved(at(saved, 3), saved, now, ("world_size",)) == at(saved, 3)
    earlier = order(100, 4, 1, 1)  # a checkpoint of a version that did not note it
    assert moved(at(earlier, 3), earlier, saved, ()) == at(earlier, 3)


def test_other_data_begin_with_the_next_epoch():
    saved, now = order(100, 4, 1, 1, fingerprint="a"), order(90, 4, 1, 1, fingerprint="b")
    assert moved(at(saved, 3), saved, now, ("data",)) == Position(3, 1, 0, 0)
    assert moved(at(saved, 25), saved, now, ("data",)) == Position(25, 1, 0, 0)


def test_a_loader_that_cannot_go_on_is_an_error_or_starts_the_next_epoch():
    plain = Order(batches=10, accumulate=1)
    with pytest.raises(InputError, match=r"cannot continue within an epoch .*resume.allow=\[order\]"):
        moved(Position(13, 1, 3, 0), plain, plain, ())
    assert moved(Position(13, 1, 3, 0), plain, plain, ("order",)) == Position(13, 2, 0, 0)
    assert moved(Position(20, 2, 0, 0), plain, plain, ("order",)) == Position(20, 2, 0, 0)


def test_the_loops_state_keeps_what_it_does_not_own():
    loops = {"fit_loop": {"epoch_loop.x": 1, "epoch_loop.batch_progress": 2}, "validate_loop": 3}
    state = loop_state(Position(7, 1, 2, 8), loops)
    assert state["validate_loop"] == 3
    assert state["fit_loop"]["epoch_loop.x"] == 1
    assert state["fit_loop"]["epoch_loop.batch_progress"]["total"]["completed"] == 7
    assert loops["fit_loop"]["epoch_loop.batch_progress"] == 2


def test_samples_that_are_grouped_by_length_have_another_order_with_another_batch_size():
    saved, now = order(100, 4, 1, 1, grouped=True), order(100, 5, 1, 1, grouped=True)
    position = Position(total=15, epoch=1, batch=10, sample=40)
    assert moved(position, saved, saved, []) == position
    assert moved(position, saved, now, ["batch_size"]) == Position(15, 2, 0, 0)
    assert moved(position, order(100, 4, 1, 1), order(100, 5, 1, 1), ["batch_size"]).epoch == 1
    with pytest.raises(InputError, match=r"resume\.allow=\[seed\]"):
        moved(position, order(100, 4, 1, 1), saved, [])

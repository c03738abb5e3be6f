"""The signals that ranks exchange between two steps."""

import pytest
from torch import distributed

from aigc.distributed.step_signals import DelayedStepSignals


@pytest.fixture
def alone_in_a_group(tmp_path):
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_what_is_said_is_heard_a_step_later_and_the_clock_once(alone_in_a_group):
    signals = DelayedStepSignals()
    assert [signals.exchange(0, True) for _ in range(4)] == [(0, False), (0, True), (0, False), (0, True)]


def test_a_signal_is_heard_a_step_later(alone_in_a_group):
    signals = DelayedStepSignals()
    assert [signals.exchange(number, False) for number in (15, 0, 0)] == [(0, False), (15, False), (0, False)]

"""Ranks that see other images have one probability: that of one process that sees all of them."""

import json

import pytest

from tests.launch.modules import run_module
from tests.unit.augmentation.augmentation_ranks import STEPS, logits, states


@pytest.mark.slow
def test_two_ranks_learn_what_one_process_learns(tmp_path):
    run_module("tests.unit.augmentation.augmentation_ranks", tmp_path)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    expected = states([[logits(step, 0), logits(step, 1)] for step in range(STEPS)])
    assert found == [expected, expected]
    assert states([[logits(step, 0)] for step in range(STEPS)]) != expected  # negative control

"""Ranks with parts of a batch find what one rank finds with the whole."""

import pytest
import torch

from aigc.losses import names
from tests.launch.modules import run_module


@pytest.mark.slow
def test_two_ranks_with_half_batches_have_the_gradients_of_one(tmp_path):
    run_module("tests.unit.losses.losses_ranks", tmp_path)
    one, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("1-0", "2-0", "2-1"))
    assert one.keys() > {*names(), "together", "path_length"}
    for found in (first, second):
        assert found.keys() == one.keys()
        for name, gradient in found.items():
            assert gradient.any()
            torch.testing.assert_close(gradient, one[name], rtol=1e-6, atol=1e-9)

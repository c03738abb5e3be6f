"""The guide on sweeps: everything in it runs."""

import pytest

from tests.docs.pages import GUIDES, run_page
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    assert "# @package _global_" in run_page(GUIDES / "sweeps.md", aigc, own_place)

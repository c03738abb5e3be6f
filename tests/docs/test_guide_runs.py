"""The guide on runs: everything in it runs."""

import pytest

from tests.docs.pages import GUIDES, run_page
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    printed = run_page(GUIDES / "runs.md", aigc, own_place)
    for expected in ("['mine']", "val/perplexity", "identical, 3 steps"):
        assert expected in printed

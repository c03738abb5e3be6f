"""The guide on devices: everything in it runs."""

import pytest

from tests.docs.pages import GUIDES, run_page
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    assert "#SBATCH" in run_page(GUIDES / "devices.md", aigc, own_place)

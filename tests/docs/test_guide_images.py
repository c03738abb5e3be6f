"""The guide on images: everything in it runs."""

import pytest

from tests.docs.inputs import draw_shapes
from tests.docs.pages import GUIDES, run_page
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    draw_shapes(own_place / "shapes")
    run_page(GUIDES / "images.md", aigc, own_place)
    assert all((own_place / name).is_file() for name in ("letters.png", "way.webp", "generator/config.json"))

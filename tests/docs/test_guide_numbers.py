"""The guide on numbers: everything in it runs, and the scores that it shows are right."""

import re

import pytest

from tests.docs.inputs import draw_noise
from tests.docs.pages import GUIDES, blocks, commands, in_chinese, run_page, write_printed
from tests.small_models import shrink_models

PAGE = GUIDES / "numbers.md"


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    draw_noise(own_place)
    printed = run_page(PAGE, aigc, own_place)
    for expected in ("tok:zh", "bits_per_byte", "coverage_efficientnet_lite0"):
        assert expected in printed


@pytest.mark.slow
def test_the_scores_that_are_shown_are_those_of_the_example_files(aigc, own_place):
    for program, *arguments in commands(PAGE):
        if program == "printf":
            write_printed(arguments)
    printed = aigc("score", "predictions.txt", "references.txt").stdout
    for page in (PAGE, in_chinese(PAGE)):
        shown = next(block.code for block in blocks(page) if block.code.startswith("metric "))
        assert re.sub(r"version:\S+", "", shown) == re.sub(r"version:\S+", "", printed)

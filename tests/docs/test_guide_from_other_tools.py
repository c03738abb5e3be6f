"""The guide for people who come from other tools: its commands run, and its tables name keys that there are."""

import re
import shlex

import pytest

from aigc.config import check, compose
from tests.docs.inputs import shorten_experiments
from tests.docs.pages import GUIDES, in_chinese, run_page
from tests.small_models import shrink_models

PAGE = GUIDES / "from_other_tools.md"


def overrides(page):
    """Those in the second column of the tables of flags, one command after the other."""
    tables = page.read_text("utf-8").split("\n| 部分" if page.name.endswith(".zh.md") else "\n| part of")
    after = tables[1].partition("\n\n")[2]
    for row in re.findall(r"^\| .*? \| (.*?) \|", tables[0] + after, re.MULTILINE):
        for span in re.findall(r"`([^`]+)`", row):
            typed = shlex.split(span)
            if all("=" in one and one.split("=")[0].isascii() for one in typed) and "aigc" not in typed:
                yield typed


@pytest.mark.slow
def test_commands_run(aigc, own_place):
    shrink_models(own_place)
    shorten_experiments(own_place)
    run_page(PAGE, aigc, own_place)


@pytest.mark.slow
def test_keys_of_the_tables_are_right(own_place):
    (own_place / "FOLDER").mkdir()
    typed = list(overrides(PAGE))
    assert len(typed) > 30
    base = ["experiment=lm/finetune", "model.path=FOLDER", "data.path=FILE"]
    for one in typed:
        check(compose([*base, *one]))


def test_both_languages_name_the_same_keys():
    assert list(overrides(PAGE)) == list(overrides(in_chinese(PAGE)))

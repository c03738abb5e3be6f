"""The guide on text: everything in it runs."""

import json

import pytest

from tests.docs.inputs import grow, shorten_experiments, write_texts
from tests.docs.pages import GUIDES, run_page, write_files
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    shorten_experiments(own_place)
    assert write_files(GUIDES / "text.md", own_place) == ["qa.jsonl", "essays.txt", "talk.jsonl", "prompts.jsonl"]
    for name in ("qa.jsonl", "essays.txt"):
        grow(own_place / name)
    write_texts(own_place / "texts/a.jsonl")
    write_texts(own_place / "mine.jsonl")
    run_page(GUIDES / "text.md", aigc, own_place)
    rows = [json.loads(line) for line in (own_place / "answers.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 2

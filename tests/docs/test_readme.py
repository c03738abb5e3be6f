"""The README: everything in it runs, the first four commands in a folder with a file and a model alone."""

import json
import re

import pytest

from tests.docs.inputs import draw_shapes, grow, save_tiny_model, shorten_experiments, write_texts
from tests.docs.pages import README, commands, run_page, write_files
from tests.small_models import shrink_models


@pytest.mark.slow
def test_commands_and_code_run(aigc, own_place):
    shrink_models(own_place)
    shorten_experiments(own_place)
    assert write_files(README, own_place) == ["qa.jsonl"]
    grow(own_place / "qa.jsonl")
    save_tiny_model(own_place / "model")
    write_texts(own_place / "mine.txt")
    draw_shapes(own_place / "shapes")
    printed = run_page(README, aigc, own_place)
    assert re.search(r"^tuned finished \{.*val/perplexity", printed, re.MULTILINE)
    assert (own_place / "my_model/model.safetensors").is_file()
    assert (own_place / "circles.png").is_file()


@pytest.mark.slow
def test_four_commands_tune_try_measure_and_export_a_pretrained_model(aigc, own_place):
    """As they are typed, but for the number of steps."""
    write_files(README, own_place)
    grow(own_place / "qa.jsonl")
    save_tiny_model(own_place / "model")
    named = [arguments for program, *arguments in commands(README) if program == "aigc"][:4]
    assert [verb for verb, *_ in named] == ["train", "generate", "eval", "export"]
    assert sorted(path.name for path in own_place.iterdir()) == ["model", "qa.jsonl"]
    named[0] += ["trainer.max_steps=2"]
    for arguments in named:
        done = aigc(*arguments)
        assert done.returncode == 0, done.stderr
    tuned = own_place / "my_model"
    assert json.loads((tuned / "config.json").read_text())["n_embd"] == 16
    assert (tuned / "model.safetensors").read_bytes() != (own_place / "model/model.safetensors").read_bytes()

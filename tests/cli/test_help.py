import re
from itertools import pairwise

import pytest

from aigc.cli.main import VERBS
from aigc.cli.parts import options
from aigc.cli.parts.options import often_changed
from aigc.config.compose import compose
from aigc.config.keys import known_keys, often_changed_keys
from tests.conftest import write


def test_help_names_every_verb(aigc):
    shown = aigc("--help").stdout
    assert all(f"  {verb} " in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_each_verb_has_a_description_an_example_and_its_options(aigc, verb):
    shown = aigc(verb, "--help").stdout
    assert f"example:\n  aigc {verb}" in shown
    assert "--debug" in shown


@pytest.mark.parametrize("verb", ["train", "validate"])
def test_the_help_lists_the_most_used_keys_with_their_docstrings(aigc, verb):
    shown = aigc(verb, "--help").stdout
    assert "Optimiser steps to train for" in shown
    assert re.search(r"experiment   gan/\S+, .*lm/couplets, .*lm/finetune, .*lm/tang_quatrains, lm/text", shown)


def test_every_most_used_key_has_help():
    for experiment in ("lm/tang_quatrains", "gan/letters"):
        lines = often_changed([f"experiment={experiment}"]).splitlines()
        assert [line for line, after in pairwise(lines) if "[" in line and not after.strip()] == []


def test_the_most_used_keys_exist():
    for experiment in ("lm/tang_quatrains", "gan/letters"):
        cfg = compose([f"experiment={experiment}"])
        named = list(often_changed_keys(cfg))
        assert {*options._FIRST, *options._OTHERS, *named} <= known_keys(cfg).keys()
        assert {key.split(".")[0] for key in named} >= {"data", "evaluation", "callbacks"}


def test_a_class_of_ones_own_names_its_most_used_keys(own_place, monkeypatch):
    source = "from aigc.data.text import TextData\n\n\nclass Mine(TextData):\n    often_changed = ('eos',)\n\n"
    source += "    def __init__(self, path: str, eos: int = 3):\n        pass\n"
    write(own_place / "my_data.py", source)
    monkeypatch.syspath_prepend(str(own_place))
    monkeypatch.setattr("aigc.config.trust._named", ["my_data"])
    shown = often_changed(["data._target_=my_data.Mine"])
    assert "  data.eos [3]" in shown.splitlines()
    assert "data.sequence_length" not in shown


def test_help_shows_the_keys_of_the_experiment_on_its_line(aigc):
    of_texts = aigc("train", "--help").stdout
    of_images = aigc("train", "experiment=gan/letters", "trainer.max_steps=7", "--help").stdout
    assert "task.loss [" not in of_texts
    assert "task.loss [hinge]" in of_images
    assert "trainer.max_steps [7]" in of_images
    assert "experiment=nothing" in aigc("train", "experiment=nothing", "--help").stderr


def test_generate_lists_its_sampling_controls(aigc):
    shown = aigc("generate", "--help").stdout
    for key in ("prompt", "temperature", "top_k", "top_p", "repetition_penalty", "num_beams", "num_samples", "seed"):
        assert f"  {key} [" in shown


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("callbacks.early_stopping", "aigc help callbacks callbacks=early_stopping"),
        ("trainer.max_stepz", "trainer.max_steps"),
        ("callbackss", "callbacks"),
        ("optimizer.rate", "allowed: amsgrad, betas"),
        ("data.tokenizer.nope", "vocabulary_size"),
    ],
)
def test_help_of_an_unknown_key_names_what_is_there(aigc, key, hint):
    done = aigc("help", key)
    assert done.returncode == 2
    assert hint in done.stderr
    assert "and 1" not in done.stderr

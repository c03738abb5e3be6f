import re
from itertools import pairwise

import pytest

from aigc.cli.main import VERBS
from aigc.cli.parts.options import OFTEN_CHANGED, often_changed
from aigc.config.check import known_keys
from aigc.config.compose import compose


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
    assert "Optimiser steps to train for." in shown
    assert re.search(r"experiment   gan/\S+, .*lm/couplets, lm/tang_quatrains", shown)


def test_every_most_used_key_has_help():
    for experiment in ("lm/tang_quatrains", "gan/letters"):
        lines = often_changed([f"experiment={experiment}"]).splitlines()
        assert [line for line, after in pairwise(lines) if "[" in line and not after.strip()] == []


def test_the_most_used_keys_exist():
    of_images = known_keys(compose(["experiment=gan/letters"]))
    assert set(OFTEN_CHANGED) <= {*known_keys(compose()), *of_images}


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

"""Which values of a followed name are better: known of losses, tasks and metrics, and asked for of any other."""

import pytest

from aigc.config import ConfigError, check, compose
from aigc.config.earlier import update_frozen
from aigc.config.monitor import better, checkpoint_monitor

EARLY = "callbacks=early_stopping callbacks.early_stopping"
PLATEAU = "scheduler=plateau scheduler"
SEARCH = "sweep=optuna sweep"


@pytest.mark.parametrize(
    ("typed", "value", "expected"),
    [
        ("", "val/perplexity", "min"),
        ("", "train/loss", "min"),
        ("", "val/bits_per_byte", "min"),
        ("", "val/perplexity_per_character", "min"),
        ("", "val/bleu", "max"),
        ("", "val/generation/rouge1", "max"),
        ("", "val/rougeLsum", "max"),
        ("", "val/distinct_2", "max"),
        ("", "val/fid", "min"),
        ("", "val/bleuish", None),
        ("evaluation=null", "val/bleu", "max"),
        ("~callbacks", "val/chrf", "max"),
        ("experiment=gan/letters", "val/kid_efficientnet_lite0", "min"),
        ("experiment=gan/wgan_gp", "val/images/fid_inception", "min"),
        ("experiment=gan/letters", "val/kid_std", None),
        ("experiment=gan/wgan_gp evaluation=null", "val/recall", "max"),
        ("experiment=gan/wgan_gp evaluation=null", "val/memorisation", None),
        ("+evaluation.generation.metrics.ter={_target_: aigc.metrics.text.TER}", "val/ter", "min"),
        ("callbacks.checkpoints.monitor=val/mine callbacks.checkpoints.mode=max", "val/mine", "max"),
    ],
)
def test_the_better_values_are_known_from_the_config(typed, value, expected):
    assert better(compose([typed] if typed.startswith("+") else typed.split()), value) == expected


def test_a_score_of_which_larger_is_better_chooses_the_largest():
    assert checkpoint_monitor(compose(["callbacks.checkpoints.monitor=val/bleu"])) == ("val/bleu", "max")
    stated = compose(["callbacks.checkpoints.monitor=val/bleu", "callbacks.checkpoints.mode=min"])
    assert checkpoint_monitor(stated) == ("val/bleu", "min")


@pytest.mark.parametrize(
    ("prefix", "missing"),
    [
        ("callbacks.checkpoints", "callbacks.checkpoints.mode=max"),
        (EARLY, "callbacks.early_stopping.mode=max"),
        (PLATEAU, "+scheduler.mode=max"),
        (SEARCH, "sweep.direction=maximize"),
        ("+callbacks.own._target_=pytorch_lightning.callbacks.EarlyStopping +callbacks.own", "+callbacks.own.mode=max"),
    ],
)
def test_a_value_of_which_nothing_is_known_needs_a_direction(prefix, missing):
    *before, last = prefix.split()
    typed = ["experiment=null", *before, f"{last}.monitor=val/mine"]
    with pytest.raises(ConfigError) as caught:
        check(compose(typed))
    [problem] = caught.value.problems
    assert problem.key == f"{last.lstrip('+')}.monitor"
    assert missing.lstrip("+").partition("=")[0] in problem.what
    check(compose([*typed, missing]))


def test_a_frozen_config_keeps_the_meaning_that_it_had():
    cfg = compose(["callbacks.checkpoints.monitor=val/mine"])
    update_frozen(cfg)
    check(cfg)
    assert checkpoint_monitor(cfg) == ("val/mine", "min")

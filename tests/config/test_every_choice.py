"""Every choice of every group with every experiment that can take it."""

from functools import lru_cache

import pytest

from aigc.config import ConfigError, compose
from aigc.config.check import find_problems
from aigc.config.choices import group_choices
from aigc.config.compose import Composer
from aigc.config.targets import is_subclass
from tests.config.needs import needs
from tests.drawing import drawn

CHOICES = [(group, name) for group, names in group_choices().items() if group != "experiment" for name in names]
KINDS = {
    "lm": ("aigc.data.text.base.TextModule", "aigc.tasks.language.base.LanguageTask"),
    "gan": ("aigc.data.images.ImageData", "aigc.tasks.ImageTask"),
}


@lru_cache(None)
def fits(kind, group, choice):
    """Whether a choice is of a kind of experiments, lm or gan; True for groups that know no kind."""
    if group == "adapter":
        return kind == "lm"
    if group not in ("data", "task", "model", "evaluation"):
        return True
    try:
        cfg = compose(["experiment=null", f"{group}={choice}"])
    except ConfigError:
        return False
    if group == "evaluation":
        return (choice == "generation") == (kind == "lm")
    target = cfg[group]["_target_"]
    if group == "model":
        return ("TransformersCausalLM" in target) == (kind == "lm")
    return is_subclass(target, KINDS[kind][group == "task"]) is True


@pytest.mark.slow
@pytest.mark.parametrize("experiment", group_choices()["experiment"])
def test_every_choice_that_fits_an_experiment_makes_a_valid_config(experiment):
    composer = Composer()
    fitting = [(group, choice) for group, choice in CHOICES if fits(experiment.partition("/")[0], group, choice)]
    assert len(fitting) > 25
    for group, choice in drawn(experiment, fitting, 10):
        other = [text for text in needs(f"{group}={choice}") if not text.startswith("experiment=")]
        typed = [f"experiment={experiment}", f"{group}={choice}", *other]
        if experiment.startswith("lm/"):  # an adapter, and other types than float32, are for pretrained weights
            alone = ["adapter=null", "++model.dtype=float32", "++model.quantised=null"]
            typed += {"adapter": ["model=pretrained"], "model": alone}.get(group, [])
        own = needs(f"experiment={experiment}")
        typed += [text for text in own if not text.startswith(f"{group}.")]  # belongs to the other choice
        cfg = composer.compose(typed)
        assert find_problems(cfg) == [], typed
        assert cfg.experiment == experiment

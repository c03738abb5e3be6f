"""Every choice of every group with every experiment that can take it."""

import pytest

from aigc.config import ConfigError, compose
from aigc.config.check import find_problems
from aigc.config.choices import group_choices
from aigc.config.compose import Composer
from aigc.config.targets import is_subclass

CHOICES = {group: names for group, names in group_choices().items() if group != "experiment"}
NEEDS = {
    "gan/images": ["data.path=mine"],
    "lm/text": ["data.path=mine.txt"],
    "lm/finetune": ["data.path=mine.txt", "model.path=somewhere"],
    "data=text": ["data.path=mine.txt"],
    "data=streamed": ["data.path=mine.txt"],
    "data=images": ["data.path=mine"],
    "model=pretrained": ["model.path=somewhere"],
    "sweep=list": ["sweep.path=trials.txt"],
    "cluster=slurm": [],
}
KINDS = {
    "lm": ("aigc.data.text.base.TextModule", "aigc.tasks.language.base.LanguageTask"),
    "gan": ("aigc.data.images.ImageData", "aigc.tasks.ImageTask"),
}


def fits(experiment, group, choice):
    """Whether a choice is of the kind of an experiment; True for groups that know no kind."""
    kind = experiment.partition("/")[0]
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
    composer, tried = Composer(), 0
    for group, choices in CHOICES.items():
        for choice in choices:
            if fits(experiment, group, choice):
                typed = [f"experiment={experiment}", f"{group}={choice}", *NEEDS.get(f"{group}={choice}", [])]
                typed += [text for text in NEEDS.get(experiment, []) if not text.startswith((f"{group}.", "model."))]
                typed += ["model.path=somewhere"] if experiment == "lm/finetune" and group != "model" else []
                cfg = composer.compose(typed)
                assert find_problems(cfg) == [], typed
                assert cfg.experiment == experiment
                tried += 1
    assert tried > 25

"""Names of earlier versions: an error with the new name in a user's YAML, mapped in frozen configs."""

from pathlib import Path

import pytest

from aigc.config import ConfigError, build, check, compose
from aigc.config.class_sources import TargetError, find_class
from aigc.config.compose import fill_defaults
from aigc.config.monitor import checkpoint_monitor
from aigc.config.renamed import RENAMED, new_name, with_new_names
from aigc.runs import Run
from tests.conftest import write

FROZEN = sorted((Path(__file__).parent / "frozen").glob("*.yaml"))
"""Configs that the version before the renaming froze."""
OLD = [
    ("aigc.models.gan.DCGANGenerator", "aigc.models.images.gan.DCGANGenerator"),
    ("aigc.models.gan.dcgan.DCGANGenerator", "aigc.models.images.gan.dcgan.DCGANGenerator"),
    ("aigc.tasks.schedules.WarmupCosine", "aigc.optim.WarmupCosine"),
    ("aigc.tasks.causal_lm.CausalLM", "aigc.tasks.CausalLM"),
    ("aigc.tasks.gan.GanTask", "aigc.tasks.GanTask"),
    ("aigc.data.streamed.StreamedText", "aigc.data.text.StreamedText"),
    ("aigc.evaluation.generation.TextGeneration", "aigc.evaluation.TextGeneration"),
    ("aigc.metrics.text.metrics.BLEU", "aigc.metrics.text.BLEU"),
    ("aigc.metrics.image.measures.FrechetDistance", "aigc.metrics.image.FrechetDistance"),
]


@pytest.mark.parametrize(("old", "new"), OLD)
def test_an_old_name_is_refused_with_the_new_one_which_exists(old, new):
    assert new_name(old) == new
    assert find_class(new)
    with pytest.raises(TargetError, match=f"{old} is now {new}$"):
        find_class(old)
    with pytest.raises(ConfigError, match=f"{old} is now {new}"):
        build({"_target_": old}, object)


def test_every_renaming_has_a_case():
    assert {old for old in RENAMED if any(name.startswith(old) for name, _ in OLD)} == set(RENAMED)


def test_the_error_names_file_line_and_new_name(own_place):
    write(own_place / "conf/scheduler/mine.yaml", "# mine\n_target_: aigc.tasks.schedules.WarmupCosine\n")
    with pytest.raises(ConfigError) as caught:
        check(compose(["scheduler=mine", "experiment=null"]))
    (problem,) = caught.value.problems
    assert (problem.key, problem.origin) == ("scheduler._target_", "conf/scheduler/mine.yaml:2")
    assert "aigc.optim.WarmupCosine" in problem.what


@pytest.mark.parametrize("path", FROZEN, ids=lambda path: path.stem)
def test_a_config_of_an_earlier_version_is_valid(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    assert any(old in text for old in RENAMED)
    write(tmp_path / "config.yaml", text)
    cfg = Run(tmp_path).config
    fill_defaults(cfg)
    check(cfg, deep=True)
    assert (tmp_path / "config.yaml").read_text(encoding="utf-8") == text
    assert cfg.trainer.limit_evaluation_samples is None


def test_a_run_that_kept_only_the_last_checkpoints_still_does(tmp_path):
    of_gan, of_text = (write(tmp_path / f.stem / "config.yaml", f.read_text(encoding="utf-8")) for f in FROZEN)
    assert Run(of_gan.parent).config.callbacks.checkpoints.keep_best == 0  # its monitor was null
    kept = Run(of_text.parent).config
    assert "keep_best" not in kept.callbacks.checkpoints
    assert checkpoint_monitor(kept) == ("val/perplexity", "min")


def test_nodes_inside_of_nodes_are_renamed():
    def tree(outer, inner):
        return {"_target_": f"{outer}.X", "inner": [{"_target_": f"{inner}.Y", "a": 1}], "text": "aigc.models.gan.X"}

    old = tree("aigc.models.gan", "aigc.tasks.schedules")
    assert with_new_names(old) == tree("aigc.models.images.gan", "aigc.optim")

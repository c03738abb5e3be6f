"""What all evaluations share: keys, schedule, limits, and what is refused before the first step."""

from functools import partial

import pytest
import torch
from pytorch_lightning import LightningDataModule
from transformers import BertForMaskedLM

from aigc.callbacks import Checkpoints, Progress, progress
from aigc.config import ConfigError, compose
from aigc.config.monitor import checkpoint_monitor
from aigc.errors import InputError
from aigc.evaluation import TextGeneration, text_generation
from aigc.launch import components
from aigc.tasks import LanguageTask
from tests.training.evaluations import BLEU, FID, TEXTS, Norm, fit, language_run
from tests.training.helpers import text_data, tiny_model, trainer
from tests.training.language_tasks import MaskedLM, network
from tests.training.tiny_gan import image_data, image_evaluation, tiny_gan


def masked_run(folder):
    return MaskedLM(network(BertForMaskedLM), partial(torch.optim.SGD, lr=0.1)), text_data(folder, TEXTS)


@pytest.mark.parametrize(
    ("evaluation", "parts", "needed"),
    [
        (lambda folder: TextGeneration({}).bind("evaluation.mine"), lambda f: (tiny_gan(), image_data(f)), "texts"),
        (lambda folder: TextGeneration({}).bind("evaluation.mine"), masked_run, "texts"),
        (lambda folder: image_evaluation(folder, "evaluation.mine"), language_run, "ImageTask"),
    ],
)
def test_a_task_that_cannot_be_measured_is_refused_before_the_first_step(evaluation, parts, needed, tmp_path):
    task, data = parts(tmp_path)
    with pytest.raises(InputError, match=rf"evaluation\.mine: .*{needed}, not .*evaluation\.mine=null"):
        fit(tmp_path, task, data, evaluation(tmp_path))
    assert task.global_step == 0


class Policy(LanguageTask):
    """A task of one's own, whose model continues texts: what it learns from is nothing to an evaluation."""

    def loss(self, batch):
        found = self.run_model(input_ids=batch["input_ids"], labels=batch["labels"], use_cache=False)
        return found.loss * self.targets(batch)


def test_texts_of_any_task_whose_model_continues_them_are_measured(tmp_path):
    data = text_data(tmp_path, TEXTS)
    task = Policy(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
    evaluation = TextGeneration({"bleu": BLEU}, samples=2).bind("evaluation.generation")
    fit(tmp_path, task, data, evaluation)
    assert "val/bleu" in task.latest


def test_examples_that_leave_nothing_to_write_are_said_once(tmp_path, caplog):
    caplog.set_level("INFO", "aigc")
    task, data = language_run(tmp_path)
    evaluation = TextGeneration({"bleu": BLEU}, prompt_pattern=".+").bind("evaluation.generation")
    fit(tmp_path, task, data, evaluation, val_check_interval=1)
    said = [one for one in caplog.messages if "nothing to write" in one]
    assert len(said) == 1
    said_of = f"{len(data.heldout)} of {len(data.heldout)} held-out examples"
    assert said[0].startswith(f"evaluation.generation: nothing to write in {said_of}")
    assert "evaluation.generation.prompt_pattern '.+'" in said[0]
    assert "val/bleu" not in task.latest


@pytest.mark.parametrize("kind", ["texts", "images"])
def test_data_without_what_is_needed_are_refused_before_the_first_step(kind, tmp_path, monkeypatch):
    task, data = language_run(tmp_path) if kind == "texts" else (tiny_gan(), image_data(tmp_path))
    evaluation = TextGeneration({}) if kind == "texts" else image_evaluation(tmp_path)
    attribute = "heldout" if kind == "texts" else "images"
    made = trainer(tmp_path, max_steps=1)
    made.datamodule = LightningDataModule()
    with pytest.raises(InputError, match=rf"evaluation\.mine: .*`{attribute}`, which LightningDataModule"):
        evaluation.bind("evaluation.mine").setup(made, task, "fit")
    made.datamodule = data
    evaluation.setup(made, task, "fit")


@pytest.mark.parametrize(
    "metrics", [{"a": BLEU, "b": {**BLEU, "tokenize": "char"}}, {"a": BLEU, "b": {**BLEU, "x": 1}}]
)
def test_messages_name_the_key_of_the_config(metrics):
    with pytest.raises(InputError, match=r"evaluation\.mine\.metrics\.b"):
        TextGeneration(metrics).bind("evaluation.mine")


def test_a_wrong_pattern_names_its_key():
    with pytest.raises(ConfigError, match=r"evaluation\.mine\.prompt_pattern"):
        TextGeneration({}, prompt_pattern="[").bind("evaluation.mine")


def test_a_limit_leaves_out_what_needs_more_samples(tmp_path, caplog):
    neighbours = {"_target_": "aigc.metrics.image.PrecisionRecall", "k": 5}
    chosen = {"metrics": {"fid": FID, "precision": neighbours}, "samples": 30}
    limited = image_evaluation(tmp_path, **chosen)
    limited.bind("evaluation.images", limit=4)
    made = fit(tmp_path, task := tiny_gan(), image_data(tmp_path), limited)
    assert (limited.samples, list(limited.metrics)) == (4, ["fid"])
    assert "val/precision_projection" not in task.latest
    with pytest.raises(InputError, match=r"evaluation\.images\.metrics\.precision"):  # wrong without a limit, too
        image_evaluation(tmp_path, **{**chosen, "samples": 4}).setup(made, task, "fit")


def test_the_limit_reaches_every_evaluation_of_a_config():
    cfg = compose(["debug=fast", "experiment=lm/couplets"])
    (evaluation,) = components.build_callbacks(cfg, "evaluation").values()
    assert (evaluation.key, evaluation.samples) == ("evaluation.generation", 2)


def test_a_new_kind_is_one_class(tmp_path):
    norm = Norm({"bleu": BLEU, "chrf": None})
    task, data = language_run(tmp_path)
    fit(tmp_path, task, data, norm.bind("evaluation.norm"), max_steps=5)
    assert norm.steps == [0, 2, 4, 5]
    assert list(norm.metrics) == ["bleu"]
    assert task.signatures["val/norm"] == "sum of squares"
    norm.on_fit_done(trainer(tmp_path), task)
    assert norm.steps == [0, 2, 4, 5]


def test_the_state_of_an_earlier_version_is_found(tmp_path):
    evaluation = image_evaluation(tmp_path)
    checkpoint = {"callbacks": {"ImageGeneration_projection": {"done_at": 6}}}
    evaluation.on_load_checkpoint(trainer(tmp_path), tiny_gan(), checkpoint)
    evaluation.load_state_dict(checkpoint["callbacks"][evaluation.state_key])
    assert evaluation.state_dict() == {"done_at": 6}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], ("val/perplexity", "min")),
        (["experiment=gan/letters"], ("val/kid_efficientnet_lite0", "min")),
        (["callbacks.checkpoints.monitor=val/bleu", "callbacks.checkpoints.mode=max"], ("val/bleu", "max")),
        (["experiment=null", "task=gan", "model=dcgan", "data=letters", "evaluation=images"], None),
    ],
)
def test_the_task_says_what_chooses_checkpoints_unless_the_config_does(typed, expected):
    cfg = compose(typed)
    assert checkpoint_monitor(cfg) == expected


def test_checkpoints_follow_the_monitor_of_the_task(tmp_path):
    task, data = language_run(tmp_path)
    by_task, stated, none = Checkpoints(), Checkpoints("train/loss"), Checkpoints(keep_best=0)
    made = trainer(tmp_path, max_steps=1, callbacks=[by_task], val_check_interval=1)
    made.fit(task, datamodule=data)
    assert by_task.best["value"] == task.latest["val/perplexity"]
    for saver in (stated, none):
        saver.setup(made, task, "fit")
        saver.on_validation_end(made, task)
    assert stated.monitor == "train/loss"
    assert none.best is None


@pytest.mark.parametrize(
    ("task", "shown"),
    [(lambda f: language_run(f)[0], "loss 1.500"), (lambda f: tiny_gan(), "loss 1.500")],
)
def test_progress_shows_the_headline_of_the_task(task, shown, tmp_path):
    made = task(tmp_path)
    made.latest["train/loss"] = 1.5
    assert Progress._facts(made) == shown
    made.headline = ("train/generator_loss",)
    made.latest["train/generator_loss"] = 2.0
    assert Progress._facts(made) == "generator loss 2.000"


def test_lines_of_progress_end_with_the_last_step_and_without_spaces(tmp_path, monkeypatch):
    lines: list[str] = []
    task, data = language_run(tmp_path)
    monkeypatch.setattr(progress.log, "info", lambda text, *values: lines.append(text % values))
    fit(tmp_path, task, data, Progress(every_seconds=0), max_steps=3, log_every_n_steps=2)
    assert [line.split("  ")[0] for line in lines] == ["step 1 of 3", "step 2 of 3", "step 3 of 3"]
    assert lines[0] == "step 1 of 3"
    task, data = language_run(tmp_path)
    lines.clear()
    fit(tmp_path, task, data, Progress(), max_steps=3)
    assert [line.split("  ")[0] for line in lines] == ["step 3 of 3"]


def test_a_sample_stays_one_line(monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(text_generation.log, "info", lambda text, *values: lines.append(text % values))
    TextGeneration()._show(["春\n", "b"], [["眠\r\n不"], ["c\u2028d", "e"]])
    assert lines == ["  春↵│眠↵不", "  b│c↵d"]


def test_what_a_limit_leaves_out_is_not_known_to_be_missing(tmp_path):
    neighbours = {"_target_": "aigc.metrics.image.PrecisionRecall", "k": 5}
    limited = image_evaluation(tmp_path, metrics={"fid": FID, "precision": neighbours}, samples=30)
    limited.bind("evaluation.images", limit=4)
    fit(tmp_path, tiny_gan(), image_data(tmp_path), limited)
    assert limited.value_names() is None

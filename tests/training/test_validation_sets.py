"""Validation on further corpora, each with a name of its own."""

from functools import partial

import pytest
import torch

from aigc.callbacks.monitored import recorded_names
from aigc.config import ConfigError, compose
from aigc.config.early import check_early
from aigc.errors import InputError
from aigc.tasks import CausalLM
from tests.conftest import write
from tests.training.evaluations import TEXTS
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

MORE = ["春風花草香", "日暮蒼山遠", "天寒白屋貧"]
LONGER = ["白日依山盡黃河入海流", "欲窮千里目更上一層樓"]


@pytest.fixture
def sets(tmp_path):
    """Two corpora by name."""
    return {
        "more": str(write(tmp_path / "more.txt", "\n".join(MORE))),
        "longer-2": str(write(tmp_path / "longer.txt", "\n".join(LONGER))),
    }


def validated(folder, **settings):
    data = text_data(folder, TEXTS, **settings)
    task = sgd_task(tiny_model(data))
    trainer(folder).validate(task, datamodule=data, verbose=False)
    return task


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_set_has_the_scores_that_it_has_as_the_validation_corpus(batch_size, sets, tmp_path):
    settings = {"batch_size": batch_size, "packing": False}
    task = validated(tmp_path / "all", validation_sets=sets, **settings)
    for name, path in sets.items():
        # With a corpus of its own the texts of the training are others, and so would be a tokenizer made of them.
        alone = text_data(tmp_path / "all", TEXTS, validation_sets={name: path}, **settings)
        assert alone.tokenizer.get_vocab() == task.trainer.datamodule.tokenizer.get_vocab()
        held = alone.further[name].info["validation"]
        assert held["examples"] == len({"more": MORE, "longer-2": LONGER}[name])
        alone._prepared = alone.further[name]
        alone.further = {}
        again = sgd_task(tiny_model(alone))
        trainer(tmp_path / name).validate(again, datamodule=alone, verbose=False)
        for score in ("perplexity", "bits_per_byte", "bits_per_character"):
            assert task.latest[f"val/{name}/{score}"] == pytest.approx(again.latest[f"val/{score}"], rel=1e-6)
            assert task.signatures[f"val/{name}/{score}"] == task.signatures[f"val/{score}"]
    assert len({task.latest[f"val{name}/perplexity"] for name in ("", "/more", "/longer-2")}) == 3


def test_the_validation_part_is_measured_as_without_sets(sets, tmp_path):
    alone, beside = validated(tmp_path / "a"), validated(tmp_path / "b", validation_sets=sets)
    assert alone.latest.items() <= beside.latest.items()


def test_a_set_can_be_followed(sets, tmp_path):
    data = text_data(tmp_path, TEXTS, validation_sets=sets)
    task = sgd_task(tiny_model(data))
    made = trainer(tmp_path, max_steps=2)
    made.fit(task, datamodule=data)
    known, complete = recorded_names(made, task)
    assert complete
    assert {"val/perplexity", "val/more/perplexity", "val/longer-2/bits_per_byte"} <= known
    assert "val/other/perplexity" not in known
    assert "val/more/perplexity" in task.latest


class Counting(CausalLM):
    """A task that counts the batches of a validation."""

    def validation_step(self, batch, batch_index):
        self.seen = [*getattr(self, "seen", []), batch_index]
        super().validation_step(batch, batch_index)


@pytest.mark.parametrize(("limit", "seen"), [(1, [0, 0, 0]), (1.0, [0, 1, 0, 1, 2, 0, 1])])
def test_a_limited_validation_limits_each_set(limit, seen, sets, tmp_path):
    data = text_data(tmp_path, TEXTS, validation_sets=sets, packing=False)
    task = Counting(tiny_model(data), partial(torch.optim.SGD, lr=0.1))
    trainer(tmp_path, limit_val_batches=limit).validate(task, datamodule=data, verbose=False)
    assert task.seen == seen


def test_sets_need_a_validation(sets, tmp_path):
    with pytest.raises(InputError, match="validation_fraction"):
        text_data(tmp_path, TEXTS, validation_sets=sets, validation_fraction=0.0)


@pytest.mark.parametrize(("name", "path"), [("a/b", "more.txt"), ("more", "nowhere.txt"), ("more", "empty.txt")])
def test_wrong_sets_are_refused_before_anything_is_read(name, path, sets, own_place):
    write(own_place / "mine.txt", "\n".join(TEXTS))
    write(own_place / "empty.txt", "")
    cfg = compose(["experiment=lm/text", "data.path=mine.txt", f"+data.validation_sets={{{name}: {path}}}"])
    with pytest.raises(ConfigError, match=r"data\.validation_sets"):
        check_early(cfg)


def test_a_set_without_a_text_names_its_key(tmp_path):
    blank = str(write(tmp_path / "blank.txt", "\n \n"))
    with pytest.raises(InputError, match=r"data\.validation_sets\.none"):
        text_data(tmp_path, TEXTS, validation_sets={"none": blank})

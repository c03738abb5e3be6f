"""Parts that do not fit each other are refused without importing them; what declares nothing is not compared."""

import pytest

from aigc.cli.main import main
from aigc.config import ConfigError, check, compose
from tests.conftest import write


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("data=letters", {"data._target_"}),
        ("task=gan", {"data._target_", "model._target_", "evaluation.generation"}),
        ("model=dcgan", {"model._target_"}),
        ("experiment=gan/letters model=gpt2", {"model._target_"}),
        ("evaluation=images", {"evaluation.images"}),
        ("experiment=gan/letters data=couplets", {"data._target_"}),
        ("experiment=gan/letters evaluation=generation", {"evaluation.generation"}),
    ],
)
def test_data_and_evaluations_of_another_kind_are_refused(typed, keys):
    with pytest.raises(ConfigError) as caught:
        check(compose(typed.split()))
    assert {problem.key for problem in caught.value.problems} == keys
    assert all(problem.origin for problem in caught.value.problems)


OWN = """\
from pytorch_lightning import LightningDataModule
from aigc.evaluation import Evaluation
from aigc.tasks import CausalLM, Task


class Data(LightningDataModule):
    pass


class Any(Evaluation):
    pass


class Narrow(Evaluation):
    expects = CausalLM


class Mine(Task):
    pass
"""


def test_own_classes_that_declare_nothing_are_not_compared(own_place, monkeypatch):
    write(own_place / "parts_that_fit.py", OWN)
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["parts_that_fit"]\n')
    monkeypatch.syspath_prepend(str(own_place))
    write(own_place / "conf/data/mine.yaml", "_target_: parts_that_fit.Data\n")
    write(own_place / "conf/task/mine.yaml", "_target_: parts_that_fit.Mine\n")
    for name in ("Any", "Narrow"):
        write(own_place / f"conf/evaluation/{name.lower()}.yaml", f"a: {{_target_: parts_that_fit.{name}}}\n")
    check(compose(["data=mine", "evaluation=any"]))
    check(compose(["evaluation=narrow"]))
    with pytest.raises(ConfigError, match=r"evaluation\.a .*CausalLM"):
        check(compose(["evaluation=narrow", "task=mine"]))


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (["callbacks=early_stopping", "trainer.validate_every_n_steps=null"], ["callbacks.early_stopping"]),
        (
            ["callbacks=early_stopping", "trainer.validate_every_n_steps=9", "trainer.max_steps=9"],
            ["callbacks.early_stopping"],
        ),
        (["callbacks=early_stopping"], []),
        (["scheduler=plateau", "trainer.validate_every_n_steps=null"], ["scheduler"]),
        (["experiment=gan/emoji", "callbacks=early_stopping"], []),
        (["experiment=gan/digits", "callbacks=early_stopping"], ["callbacks.early_stopping"]),
        (["trainer.validate_every_n_steps=null"], []),
    ],
)
def test_what_follows_a_value_that_is_measured_at_the_end_only_is_noted(typed, keys, capsys):
    assert main(["validate", *typed]) == 0
    noted = [line.split()[1] for line in capsys.readouterr().out.splitlines() if "none before the end" in line]
    assert noted == keys


@pytest.mark.parametrize("duration", ["1 hour", "01:00", "00:00:00:00"])
def test_a_timer_needs_a_time(duration):
    typed = ["+callbacks.x._target_=pytorch_lightning.callbacks.Timer", f"+callbacks.x.duration={duration}"]
    with pytest.raises(ConfigError) as caught:
        check(compose(typed))
    assert [problem.key for problem in caught.value.problems] == ["callbacks.x.duration"]

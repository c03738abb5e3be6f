"""Messages of a config: short, in the words of a config, and at the place that is to be changed."""

import pytest

from aigc.config import ConfigError, check, compose
from tests.conftest import write

LONG = "x" * 5000


def problems(*overrides):
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides))
    return caught.value.problems


@pytest.mark.parametrize(
    "typed",
    [
        LONG,
        f"{LONG}=1",
        f"trainer.max_steps=[{LONG}",
        f"trainer.max_steps={LONG}",
        f"trainer.max_time={LONG}",
        f"trainer.{LONG}=1",
        f"task.{LONG}=1",
        f"data={LONG}",
        f"callbacks.own={LONG}",
        f"optimizer._target_={LONG}",
        f"optimizer._target_=torch.optim.{LONG}",
        f"trainer.max_steps=${{{LONG}}}",
        f"run.id=${{oc.env:{LONG}}}",
        f"run.id=${{{LONG}:1}}",
    ],
    ids=lambda text: text.replace(LONG, "LONG"),
)
def test_a_long_value_is_shortened_where_it_is_told(typed):
    (problem,) = problems(typed)
    assert len(str(problem)) < 1000


@pytest.mark.slow
def test_nested_brackets_are_not_repeated_in_the_message(own_place):
    head = "# @package _global_\n# aigc train experiment=own\n"
    write(own_place / "conf/experiment/own.yaml", f'{head}seed: "{"${" * 3000}"\n')
    (problem,) = problems("experiment=own")
    assert (problem.key, problem.origin) == ("seed", "conf/experiment/own.yaml:3")
    assert len(str(problem)) < 1000


@pytest.mark.parametrize("second", ["${seed}", "1${seed}"])
def test_keys_that_refer_to_each_other_are_one_problem_with_the_place_of_each(second, own_place):
    head = "# @package _global_\n# aigc train experiment=own\n"
    keys = f"seed: ${{trainer.max_steps}}\ntrainer:\n  max_steps: {second}\nrun:\n  id: ${{seed}}\n"
    write(own_place / "conf/experiment/own.yaml", head + keys)
    (problem,) = problems("experiment=own")
    for one in ("seed", "trainer.max_steps", "own.yaml:3", "own.yaml:5"):
        assert one in str(problem)


def test_an_unset_variable_is_named_and_no_exception_is(monkeypatch):
    monkeypatch.delenv("AIGC_TEST_UNSET", raising=False)
    (problem,) = problems("run.id=${oc.env:AIGC_TEST_UNSET}")
    assert problem.key == "run.id"
    assert "AIGC_TEST_UNSET is not set" in problem.what
    assert "Error" not in problem.what


def test_a_missing_key_is_told_where_the_class_was_chosen(own_place):
    name = "torch.optim.lr_scheduler.StepLR"
    (typed,) = problems(f"scheduler._target_={name}")
    assert (typed.key, typed.origin) == ("scheduler.step_size", f"command line: scheduler._target_={name}")
    write(own_place / "conf/scheduler/step.yaml", f"_target_: {name}\n")
    (chosen,) = problems("scheduler=step")
    assert (chosen.key, chosen.origin) == ("scheduler.step_size", "conf/scheduler/step.yaml:1")


def test_what_is_missing_is_described_in_words_of_a_config():
    (problem,) = problems("+logger.csv._target_=pytorch_lightning.loggers.CSVLogger")
    assert problem.key == "logger.csv.save_dir"
    assert "Any" not in problem.what


def test_a_limit_is_written_with_all_its_digits():
    (problem,) = problems("seed=-1")
    assert str(2**32 - 1) in problem.what

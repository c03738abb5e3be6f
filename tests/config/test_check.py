import math
import subprocess
import sys
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from aigc import losses
from aigc.config import ConfigError, check, compose
from aigc.config.check import find_problems
from aigc.config.part_names import part_names
from aigc.config.problems import suggest
from aigc.config.schema import Trainer, fields_of
from aigc.config.targets import signature
from aigc.config.types import Bound, OneOf, mismatches
from aigc.launch.sweeps.trials import plan
from tests.conftest import write


def problems(overrides, **kwargs):
    with pytest.raises(ConfigError) as caught:
        check(compose(overrides), **kwargs)
    return {problem.key: problem.what for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("override", "key", "message"),
    [
        ("trainer.max_steps=abc", "trainer.max_steps", "'abc' is not an integer of at least 1"),
        ("trainer.max_steps=0", "trainer.max_steps", "0 is not an integer of at least 1"),
        ("trainer.max_steps=1.5", "trainer.max_steps", "1.5 is not an integer"),
        ("trainer.max_steps=true", "trainer.max_steps", "True is not an integer"),
        ("trainer.precision=bf61", "trainer.precision", "one of auto, 32-true"),
        ("trainer.nope=1", "trainer.nope", "no such key"),
        ("trainer=null", "trainer", "not a mapping"),
        ("modle=gan", "modle", "did you mean model? (choices: biggan"),
        ("optimizer.lr=fast", "optimizer.lr", "not a number"),
        ("optimizer.params=1", "optimizer.params", "takes no 'params'"),
        ("data.batch_size=eight", "data.batch_size", "not an integer"),
        ("data.document=word", "data.document", "one of line, paragraph, file"),
        ("data.tokenizer.kind=bep", "data.tokenizer.kind", "one of auto, character, bpe, pretrained"),
        ("data.tokenizer=bpe", "data.tokenizer", "a mapping with the keys kind"),
        ("callbacks.progress._target_=aigc.callbacks.Progres", "callbacks.progress._target_", "did you mean Progress?"),
        (
            "callbacks.progress._target_=aigc.callback.Progress",
            "callbacks.progress._target_",
            "did you mean callbacks?",
        ),
        (
            "callbacks.progress.every_second=3",
            "callbacks.progress.every_second",
            "did you mean callbacks.progress.every_seconds",
        ),
        ("data._target_=torch.nn.Linear", "data._target_", "not a subclass of pytorch_lightning.LightningDataModule"),
        ("scheduler._target_=os.system", "scheduler._target_", "package 'os' is not trusted"),
        ("scheduler._target_=nothing_there.X", "scheduler._target_", "not trusted"),
        ("scheduler._target_=torch.load", "scheduler._target_", "function"),
        ("model._partial_=true", "model._partial_", "takes no '_partial_'"),
        ("callbacks.extra=3", "callbacks.extra", "not a node with a _target_"),
        (
            "evaluation.generation.metrics.bleu.tokenise=zh",
            "evaluation.generation.metrics.bleu.tokenise",
            "did you mean",
        ),
        (
            "evaluation.generation.metrics.x._target_=aigc.metrics.text.BLUE",
            "evaluation.generation.metrics.x._target_",
            "BLEU",
        ),
        ("evaluation.generation.sampling.temperature=-1", "evaluation.generation.sampling.temperature", "at least 0"),
        ("seed=-1", "seed", "at least 0"),
    ],
)
def test_wrong_sets_and_options_are_named(override, key, message):
    found = problems([override])
    assert key in found, found
    assert message in found[key]


def test_a_missing_required_parameter_is_named():
    assert "missing" in problems(["~data.path"])["data.path"]


def test_checking_imports_no_torch():
    code = "import sys; from aigc.config import *; check(compose()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_custom_class_is_trusted_only_by_the_user(own_place, monkeypatch):
    write(
        own_place / "mine_a.py",
        "from pytorch_lightning import Callback\nclass Mine(Callback):\n    def __init__(self, a: int): ...\n",
    )
    monkeypatch.syspath_prepend(own_place)
    overrides = ["+callbacks.mine._target_=mine_a.Mine", "+callbacks.mine.a=1"]
    assert "not trusted" in problems(overrides)["callbacks.mine._target_"]
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["mine_a"]\n')
    check(compose(overrides))
    assert "not an integer" in problems([*overrides, "callbacks.mine.a=x"])["callbacks.mine.a"]


def test_an_optional_parameter_may_be_a_node(own_place, monkeypatch):
    source = (
        "from collections.abc import Callable\nfrom typing import Any\nfrom pytorch_lightning import Callback\n"
        "class Mine(Callback):\n    def __init__(self, act: Callable[..., Any] | None = None, a: int = 1): ...\n"
    )
    write(own_place / "mine_c.py", source)
    monkeypatch.syspath_prepend(own_place)
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["mine_c"]\n')
    overrides = ["+callbacks.mine._target_=mine_c.Mine", "+callbacks.mine.act._target_=torch.nn.ReLU"]
    check(compose(overrides))
    assert "callbacks.mine.act" in problems([overrides[0], "+callbacks.mine.act=3"])
    assert "callbacks.mine.a" in problems([overrides[0], "+callbacks.mine.a._target_=torch.nn.ReLU"])


def test_deep_finds_a_class_of_the_wrong_base(own_place, monkeypatch):
    source = "import importlib\nBase = importlib.import_module('builtins').object\nclass Mine(Base): ...\n"
    write(own_place / "mine_b.py", source)
    write(own_place / "pyproject.toml", '[tool.aigc]\ntrusted = ["mine_b"]\n')
    monkeypatch.syspath_prepend(own_place)
    overrides = ["+callbacks.mine._target_=mine_b.Mine"]
    check(compose(overrides))
    assert "not a subclass of pytorch_lightning" in problems(overrides, deep=True)["callbacks.mine._target_"]


@given(st.integers() | st.floats(allow_nan=False) | st.text() | st.booleans() | st.none())
def test_values_fit_the_types_they_should(value):
    def fits(expected):
        return not list(mismatches("k", value, expected))

    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    assert fits(int) == (isinstance(value, int) and not isinstance(value, bool))
    assert fits(float) == is_number
    assert fits(str) == isinstance(value, str)
    assert fits(bool) == isinstance(value, bool)
    assert fits(OneOf((int, type(None)))) == (fits(int) or value is None)
    assert fits(int | None) == (fits(int) or value is None)


@given(st.integers(), st.integers())
def test_bounds_hold(value, low):
    assert (not list(mismatches("k", value, Annotated[int, Bound(low)]))) == (value >= low)


def test_list_items_are_named_by_their_index():
    assert list(mismatches("betas", [0.9, "x"], tuple[float, float])) == [("betas[1]", "'x' is not a number")]


def test_every_field_has_a_docstring():
    assert all(parameter.doc for parameter in fields_of(Trainer).parameters.values())


def test_suggestions_list_what_is_allowed_when_nothing_is_near():
    assert suggest("zzz", ["alpha", "beta"]) == "allowed: alpha, beta"


@pytest.mark.parametrize(
    ("key", "wrong", "names"),
    [
        ("task.loss", "hinje", ["hinge", "minimax", "wasserstein"]),
        ("evaluation.images.extractor", "x", ["efficientnet_lite0", "inception"]),
    ],
)
def test_a_short_name_of_a_class_is_checked(key, wrong, names, own_place):
    experiment = ["experiment=gan/letters"]
    for name in names:
        check(compose([*experiment, f"{key}={name}"]))
    section, node, *rest = key.split(".")
    inner = f"{node}:\n    {rest[0]}: {wrong}" if rest else f"{node}: {wrong}"
    text = f"# @package _global_\n# mine\ndefaults:\n  - gan/letters\n{section}:\n  {inner}\n"
    write(own_place / "conf/experiment/mine.yaml", text)
    for overrides, origin in (
        ([*experiment, f"{key}={wrong}"], f"command line: {key}={wrong}"),
        (["experiment=mine"], f"conf/experiment/mine.yaml:{7 if rest else 6}"),
    ):
        (problem,) = find_problems(compose(overrides))
        assert (problem.key, problem.origin) == (key, origin)
        assert all(name in problem.what for name in names)
    with pytest.raises(ConfigError) as caught:
        plan([*experiment, f"{key}={names[0]},{wrong}"])
    assert [problem.key for problem in caught.value.problems] == [key]


def test_names_are_those_that_the_packages_find():
    loss = signature("aigc.tasks.GanTask").parameters["loss"].slot
    assert part_names(loss) == losses.names()


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("OPENAI_KEY", "verysecretvalue", True),
        ("DB_PASS", "hunter22", True),
        ("DB_PWD", "hunter22", True),
        ("GITHUB_PAT", "hunter22", True),
        ("MY_TOKEN", "abc", True),
        ("ANYTHING", "glpat-" + "a1b2c3d4" * 3, True),
        ("ANYTHING", "AIza" + "a1b2c3d4" * 4, True),
        ("ANYTHING", "postgres://me:hunter22@host/base", True),
        ("ANYTHING", "Authorization: Basic bWU6aHVudGVyMjI=", True),
        ("ANYTHING", "https://place/file?sv=1&sig=a1b2%2Fc3", True),
        ("ANYTHING", "https://place/file?X-Amz-Signature=a1b2c3", True),
        ("ANYTHING", "https://place/file?auth=a1b2c3", True),
        ("ANYTHING", "Authorization: Token a1b2c3d4", True),
        ("ANYTHING", "https://a1b2c3d4a1b2c3d4@host/file", True),
        ("ANYTHING", "https://place:8080/file?size=3", False),
        ("ANYTHING", "https://someone@host/file", False),
        ("PWD", "/home/someone", False),
        ("SORT_BY", "hunter22", False),
    ],
)
def test_a_secret_of_the_environment_resolves_nowhere_else(name, value, refused, monkeypatch):
    monkeypatch.setenv(name, value)
    found = {problem.key: problem.what for problem in find_problems(compose([f"data.path=${{oc.env:{name}}}"]))}
    assert ("data.path" in found) is refused
    assert value not in str(found)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "${oc.decode:${oc.env:DB_PASSWORD}}"),
        ("data", "${oc.env:DB_PASSWORD}"),
        ("task._target_", "aigc.${oc.env:DB_PASSWORD}"),
        ("experiment", "${oc.env:DB_PASSWORD}"),
        ("trainer.max_steps", "${oc.env:DB_PASSWORD}"),
        ("paths.outputs", "${oc.select:paths.nowhere,${oc.env:DB_PASSWORD}}"),
        ("data.path", "${oc.create:[${oc.env:DB_PASSWORD}]}"),
        ("run.id", "a${sweep.name}"),
    ],
)
def test_a_secret_of_the_environment_takes_no_other_way(key, value, own_place, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "1234567")
    mine = OmegaConf.create({"sweep": {"name": "${oc.env:DB_PASSWORD}"}})
    OmegaConf.update(mine, key, value, force_add=True)
    write(own_place / "conf/experiment/mine.yaml", f"# @package _global_\n{OmegaConf.to_yaml(mine)}")
    problems = find_problems(compose(["experiment=mine"]))
    assert {problem.key for problem in problems} == {key, "sweep.name"}
    assert "1234567" not in str([str(problem) for problem in problems])


def test_a_secret_reaches_the_key_that_takes_it(monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "hunter22")
    target = "+logger.mine._target_=pytorch_lightning.loggers.CometLogger"
    logger = [target, "+logger.mine.api_key=${oc.env:DB_PASSWORD}"]
    assert not find_problems(compose(logger))
    [problem] = find_problems(compose([*logger, "+logger.mine.name=${logger.mine.api_key}"]))
    assert problem.key == "logger.mine.name"

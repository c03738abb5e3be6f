"""Every wrong form of a defaults list is refused with its file and line."""

import pytest

from aigc.config import ConfigError, check, compose
from tests.conftest import write

HEADER = "# @package _global_\n"


def refused(own_place, defaults, name="mine"):
    write(own_place / f"conf/experiment/{name}.yaml", f"{HEADER}seed: 1\n{defaults}\n")
    with pytest.raises(ConfigError) as caught:
        compose([f"experiment={name}"])
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("defaults", "line"),
    [
        ("defaults: lm/tang_quatrains", 3),
        ("defaults: {lm: tang_quatrains}", 3),
        ("defaults: 3", 3),
        ("defaults: null", 3),
        ("defaults:\n  - null", 4),
        ("defaults:\n  - 5", 4),
        ("defaults:\n  - true", 4),
        ("defaults:\n  - ['lm/tang_quatrains']", 4),
        ("defaults:\n  - ''", 4),
        ("defaults:\n  - {}", 4),
        ("defaults:\n  - _self_\n  - lm/tang_quatrains.yaml", 5),
        ("defaults:\n  - override /data: couplets.yaml", 4),
        ("defaults:\n  - override /data: 5", 4),
        ("defaults:\n  - override /data: [couplets, 5]", 4),
        ("defaults:\n  - override /data: {a: b}", 4),
        ("defaults:\n  - override /data: couplets\n    override /model: gpt2", 4),
        ("defaults:\n  - 5: couplets", 4),
        ("defaults:\n  - lm/nope", 4),
        ("defaults:\n  - override /data: nope", 4),
        ("defaults:\n  - override /modle: gpt2", 4),
        ("defaults:\n  - /experiment: lm/couplets", 4),
        ("defaults:\n  - /data@: couplets\n  - /nothing/at/all", 4),
        ("defaults:\n  - _self_\n  - /nothing/at/all", 5),
        ("defaults:\n  - _self_\n  - _self_", 3),
        ("defaults:\n  - /train", 4),
        ("defaults:\n  - '???'", 4),
        ("defaults:\n  - optional nope", 4),
        ("defaults:\n  - //data/text", 4),
        ("defaults:\n  - '/data/text '", 4),
        ("defaults:\n  - ../train", 4),
        ("defaults:\n  - override /data: ../task/gan", 4),
        ("defaults:\n  - override /data: '???'", 4),
        ("defaults:\n  - optional override /data: nope", 4),
        ("defaults:\n  - 'override /data ': couplets", 4),
        ("defaults:\n  - override /data: ${oc.env:HOME}", 4),
        ("defaults:\n  - ${oc.env:HOME}", 4),
        ("defaults:\n  - override /data: [couplets, text]", 4),
    ],
)
def test_a_wrong_form_is_refused_at_its_line(defaults, line, own_place):
    problem = refused(own_place, defaults)
    assert problem.origin == f"conf/experiment/mine.yaml:{line}", problem


def test_a_relative_name_is_corrected_to_one_from_the_top(own_place):
    assert (
        "did you mean /experiment/lm/tang_quatrains" in refused(own_place, "defaults: [lm/tang_quatrains]", "qa/a").what
    )
    write(
        own_place / "conf/experiment/qa/a.yaml", f"{HEADER}defaults: [/experiment/lm/tang_quatrains, _self_]\nseed: 3\n"
    )
    assert compose(["experiment=qa/a"]).seed == 3


@pytest.mark.parametrize("includes", ["b", "/experiment/b"])
def test_configs_that_include_one_another_are_named(includes, own_place):
    write(own_place / "conf/experiment/b.yaml", f"{HEADER}defaults:\n  - a\n")
    problem = refused(own_place, f"defaults:\n  - _self_\n  - {includes}", "a")
    assert problem.origin == "conf/experiment/a.yaml:5"
    assert "experiment/a → experiment/b → experiment/a" in problem.what


def test_a_file_with_another_ending_is_named(own_place):
    write(own_place / "conf/experiment/other.yml", HEADER)
    assert "other.yml" in refused(own_place, "defaults: [other]").what
    with pytest.raises(ConfigError, match=r"other\.yml"):
        compose(["experiment=other"])


def test_hidden_files_are_no_choices(own_place):
    write(own_place / "conf/experiment/.ipynb_checkpoints/x-checkpoint.yaml", HEADER)
    with pytest.raises(ConfigError, match="no choice"):
        compose(["experiment=.ipynb_checkpoints/x-checkpoint"])


@pytest.mark.parametrize("section", ["logger", "data", "callbacks", "evaluation", "trainer", "optimizer", "run"])
@pytest.mark.parametrize("value", ["[tensorboard]", "5", "text"])
def test_what_is_no_section_is_refused_at_its_line(section, value, own_place):
    write(own_place / "conf/experiment/mine.yaml", f"{HEADER}seed: 1\n{section}: {value}\n")
    with pytest.raises(ConfigError) as caught:
        check(compose(["experiment=mine"]))
    found = {problem.origin for problem in caught.value.problems if problem.key.split(".")[0] == section}
    assert found == {"conf/experiment/mine.yaml:3"}

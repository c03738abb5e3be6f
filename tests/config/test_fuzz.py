"""Composing whatever a person may write: it is valid, or refused with its file and line; never another exception."""

import pytest
import yaml

from aigc.config import ConfigError, compose, schema
from aigc.config.check import find_problems
from tests.conftest import write
from tests.drawing import chance

VALUES = [
    *("null", "true", "no", "0", "-1", "3.5", "1e-4", ".nan", ".inf", "010", "0x1F", "1_000", "12:30:45", "2001-01-01"),
    *("''", '"x"', '"${seed}"', '"${nowhere}"', '"${oc.env:NOT_SET}"', '"${"', '"???"', '"\\0"', "文本", "'x: y'"),
    *("[]", "[1, x, null]", "[[1], {a: b}]", "{}", "{a: 1}", "{1: 2}", "{~: 3}", "{true: 1}", "a,b", "? x", "9" * 900),
    *("{_target_: 3}", "{_target_: os.system}", "{_target_: aigc.runs.Run}", "{_target_: nowhere.X, a: [1]}"),
    *("{_target_: torch.nn.functional.relu}", "|\n    a\n    b", "!!binary aGk=", "!!set {a, b}", "&a [*a]"),
    "!!python/name:os.system ''",
]
DEFAULTS = [
    *("null", "5", "text", "{a: b}", "[null]", "[5]", "[[a]]", "[{}]", "[{a: b, c: d}]", "['']", "[_self_, _self_]"),
    *("[lm/couplets]", "[lm/nope]", "[lm/couplets.yaml]", "[/experiment/lm/couplets]", "[fuzz]", "[/experiment/fuzz]"),
    *("[override /data: couplets]", "[override /data: null]", "[override /nope: x]", "[override data: couplets]"),
    *("['override /data': [couplets, text]]", "[/data: couplets]", "[data: couplets]", "['/data@x.y': couplets]"),
    *("[optional lm/nope]", "['optional /data': nope]", "['${nowhere}']", "['/data': '${seed}']", "[hydra/x]"),
    "[/train]",
]
ODD_LINES = [*("\t{", "- 1", "x", "---", ": :", "}", "\ufeff", "%"), *("1: 3", "on: 3", "1.5: {a: b}", "~: 3")]
HEADERS = [*["# @package _global_"] * 3, "# @package", "# @package a b", "", "# 中文"]


def keys():
    """Keys of every section and slot, and some that there are not."""
    fields = [f"{name}.{key}" for name, section in schema.sections().items() for key in section.parameters]
    nested = ["data.tokenizer", "data.tokenizer.kind", "model.settings.n_layer", "evaluation.generation.metrics.bleu"]
    odd = ["", ".", "a..b", "trainer.", "1", "文", "task._target_", "defaults.x", "_target_", "hydra.run.dir", "a b"]
    return [*schema.fields_of(schema.Config).parameters, *fields, *nested, *odd]


def written(key, value):
    """Lines of YAML that set a nested key."""
    *above, last = key.split(".")
    names = [yaml.safe_dump(name, allow_unicode=True).split("\n")[0] for name in (*above, last)]
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(names)]
    return [*lines[:-1], f"{lines[-1]} {value}"]


def case(draw):
    """The text of a file, drawn."""
    lines = [draw.choice(HEADERS)]
    if draw.random() < 0.35:
        lines.append(f"defaults: {draw.choice(DEFAULTS)}")
    for _ in range(draw.choice([0, 1, 1, 2])):
        lines += written(draw.choice(keys()), draw.choice(VALUES))
    if draw.random() < 0.05:
        lines.insert(draw.randrange(len(lines)), draw.choice(ODD_LINES))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("number", [30, pytest.param(1_900, marks=pytest.mark.slow)])
def test_what_a_person_may_write_is_valid_or_refused_with_file_and_line(number, own_place):
    draw, refused = chance(f"fuzz {number}"), 0
    for _ in range(number):
        text = case(draw)
        write(own_place / "conf/experiment/fuzz.yaml", text)
        try:
            problems = find_problems(compose(["experiment=fuzz"]))
        except ConfigError as error:
            problems = error.problems
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error}\n{text}")
        refused += bool(problems)
        if problems:
            assert any("fuzz.yaml:" in problem.origin for problem in problems), f"{problems}\n{text}"
    assert refused
    if number > 1000:  # few draws may all be refused
        assert number / 3 < refused < number

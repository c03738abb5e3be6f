"""A config of few keys that stands for millions of values is refused at once; ordinary references are not."""

import time

import pytest
from omegaconf import OmegaConf

from aigc.config import ConfigError, compose
from aigc.config.interpolations import oversized
from aigc.errors import InputError
from aigc.runs import Run
from tests.cli.image_runs import bare_run
from tests.conftest import write

LEVELS = range(1, 10)


def levels(first, value):
    """Nine keys, each of which refers to the one before as `value` says."""
    return {"a0": first} | {f"a{n}": value(n - 1) for n in LEVELS}


NAMES = {f"n{n}": f"a{n}" for n in range(9)}
BOMBS = {
    "texts": levels("x", lambda n: f"${{m.a{n}}}" * 9),
    "lists": levels("x", lambda n: [f"${{m.a{n}}}"] * 9),
    "mappings": levels({"x": 1}, lambda n: {f"k{each}": f"${{m.a{n}}}" for each in range(9)}),
    "relative": levels("x", lambda n: [f"${{..a{n}}}"] * 9),
    "brackets": levels("x", lambda n: f"${{m[a{n}]}}" * 9),
    "resolvers": levels("x", lambda n: f"${{oc.select:m.a{n}}}" * 9),
    "names": levels("x", lambda n: f"${{m.${{m.n{n}}}}}" * 9) | NAMES,
    "unknown names": levels("x", lambda n: f"${{m.${{oc.select:m.n{n}}}}}" * 9) | NAMES,
    "one long text": {"a0": "x" * 1_000_000, "a1": "${m.a0}" * 200},
    "whole": levels("x", lambda n: ["${m}"] * 9),
    "chain": {f"a{n}": f"${{m.a{n - 1}}}" if n else "x" for n in reversed(range(500))},
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_grows_without_end_is_found_in_no_time(name):
    cfg = OmegaConf.create({"m": BOMBS[name]})
    began = time.process_time()
    found = oversized(cfg)
    assert found is not None
    assert found[0].startswith("m.a")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "values",
    [
        {"a": 1, "b": "${a}", "c": {"d": "${..b}", "e": ["${c.d}", "${seed}"]}, "seed": 3},
        {"a": "${b}", "b": "${a}"},  # a circle of texts, which resolving tells
        {"a": "${oc.env:NOT_SET,x}", "b": "${nowhere}", "c": "${a}${a}"},
        {"data": {"path": "${oc.env:NOT_SET,data/corpus.txt}", "other": "${oc.env:NOT_SET,./data}"}},
        {
            "data": {
                "path": "${oc.decode:'${oc.env:NOT_SET,data.path}'}",
                "other": "\\${data}",
                "third": "../x ${.path}",
            }
        },
        {"data": {"path": "${oc.select:paths.data,data}"}, "paths": {}},
        {f"k{n}": "${base}" for n in range(1000)} | {"base": list(range(50))},
    ],
)
def test_ordinary_references_are_not_counted_as_many(values):
    assert oversized(OmegaConf.create(values)) is None


def test_a_person_is_told_the_key_and_the_line(own_place):
    lines = ["# @package _global_", "model:", "  settings:", "    a0: x"]
    lines += [f"    a{n}: '" + f"${{model.settings.a{n - 1}}}" * 9 + "'" for n in LEVELS]
    write(own_place / "conf/experiment/mine.yaml", "\n".join([*lines, ""]))
    with pytest.raises(ConfigError) as caught:
        compose(["experiment=mine"])
    [problem] = caught.value.problems
    assert problem.key == "model.settings.a6"
    assert problem.origin == "conf/experiment/mine.yaml:10"


def test_the_config_of_a_foreign_run_is_refused(tmp_path):
    run = bare_run(tmp_path, "mine", OmegaConf.to_yaml(OmegaConf.create({"m": BOMBS["texts"]})))
    with pytest.raises(InputError):
        _ = Run(run.path).config

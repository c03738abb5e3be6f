"""Configs that mean the same have one identity, and no others."""

import math
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from aigc.config import compose
from aigc.config.freeze import frozen_yaml
from aigc.config.identity import identity
from aigc.errors import InputError

quick = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

names = st.text("abcdefgh_", min_size=1, max_size=5)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**60), 2**60),
    st.floats(allow_nan=False),
    st.text("abc 0123.e-語", max_size=6),
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
configs = st.dictionaries(st.sampled_from(["model", "data", "optimizer", "trainer", "seed", "task"]), trees, max_size=4)


def shuffled(tree, draw):
    if isinstance(tree, dict):
        return {key: shuffled(tree[key], draw) for key in draw(st.permutations(list(tree)))}
    if isinstance(tree, list):
        return [shuffled(item, draw) for item in tree]
    if isinstance(tree, int) and not isinstance(tree, bool) and float(tree) == tree and abs(tree) < 2**53:
        return draw(st.sampled_from([tree, float(tree)]))
    return tree


def same(one, other):
    """Equality that distinguishes true and 1, as the identity must."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@quick
@given(configs, st.data())
def test_the_order_of_keys_and_the_writing_of_numbers_do_not_matter(config, data):
    assert identity(config) == identity(OmegaConf.create(shuffled(config, data.draw)))


@quick
@given(configs, configs)
def test_different_configs_have_different_identities(one, other):
    assume(not same(one, other))
    assert identity(one) != identity(other)


@quick
@given(configs, st.data())
def test_one_changed_leaf_changes_it(config, data):
    value = data.draw(leaves)
    assume(not same(config.get("seed"), value))
    assert identity({**config, "seed": value}) != identity({"seed": None, **config})


@pytest.mark.slow
@quick
@given(configs, trees, trees, names)
def test_keys_that_do_not_count_leave_the_identity_unchanged(config, tree, other, name):
    added = {"paths": tree, "logger": other, "run": tree, "resume": other, "experiment": name}
    assert identity({**config, **added}) == identity(config)
    base = {**config, "callbacks": {"keep": {"n": 1}}, "data": {"path": "x"}}
    more = {**config, "callbacks": {"keep": {"n": 1}, "progress": tree}, "data": {"path": "x", "cache": "/c"}}
    assert identity(base) == identity(more)
    assert identity(base) != identity({**base, "callbacks": {"keep": {"n": 2}}})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lr: 0.001", "lr: 1.0e-3"),
        ("lr: 1", "lr: 1.0"),
        ("lr: .001", "lr: 0.0010"),
        ("n: 1000", "n: 1e+3"),
        ("a: [1, 2.0]", "a: [1.0, 2]"),
        ("b: true", "b: yes"),
        ("a: &x {k: 1}\nb: *x", "b: {k: 1}\na: {k: 1.0}"),
        ("seed: 3\na: {seed: '${..seed}'}", "seed: 3\na: {seed: 3}"),
    ],
)
def test_equal_by_value(one, other):
    assert identity(OmegaConf.create({"model": OmegaConf.create(one)})) == identity(
        {"model": OmegaConf.to_container(OmegaConf.create(other), resolve=True)}
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 0.1}, {"a": math.nextafter(0.1, 1)}),
        ({"a": None}, {"a": "None"}),
        ({"a": math.nan}, {"a": "NaN"}),
        ({"a": math.inf}, {"a": -math.inf}),
        ({1: "a"}, {"1": "a"}),
        ({"a": [1, 2]}, {"a": [2, 1]}),
        ({"a": {"b": 1}}, {"a": [["b", 1]]}),
        ({"a": "x"}, {"a": "x "}),
        ({"a": 2**53}, {"a": 2**53 + 1}),
        ({"a": {"map": []}}, {"a": {}}),
    ],
)
def test_different_by_value(one, other):
    assert identity({"model": one}) != identity({"model": other})


def test_a_callback_that_is_switched_off_does_not_count():
    with_null = {"callbacks": {"a": {"n": 1}, "b": None}, "evaluation": {"c": None}}
    assert identity(with_null) == identity({"callbacks": {"a": {"n": 1}}, "evaluation": {}})


def test_the_environment_counts_by_its_value(monkeypatch):
    cfg = OmegaConf.create({"model": {"width": "${oc.decode:${oc.env:WIDTH}}"}, "paths": {"x": "${oc.env:NOWHERE}"}})
    monkeypatch.setenv("WIDTH", "64")
    assert identity(cfg) == identity({"model": {"width": 64}})
    monkeypatch.setenv("WIDTH", "65")
    assert identity(cfg) != identity({"model": {"width": 64}})
    monkeypatch.delenv("WIDTH")
    with pytest.raises(InputError, match=r"model\.width: .*WIDTH"):
        identity(cfg)


def test_a_frozen_config_keeps_its_identity(monkeypatch, tmp_path):
    monkeypatch.setenv("AIGC_CACHE", str(tmp_path / "a"))
    cfg = compose(["debug=fast", "seed=3"])
    frozen = OmegaConf.create(frozen_yaml(cfg))
    assert identity(frozen) == identity(cfg)
    monkeypatch.setenv("AIGC_CACHE", str(tmp_path / "b"))
    assert identity(frozen) == identity(cfg)


@pytest.mark.parametrize("typed", [["seed=1"], ["optimizer.lr=2e-4"], ["trainer.max_steps=7"], ["evaluation=null"]])
def test_keys_that_change_numbers_change_the_identity(typed):
    assert identity(compose(typed)) != identity(compose())


@pytest.mark.parametrize(
    "typed",
    [
        ["optimizer.lr=3e-4"],
        ["optimizer.lr=0.00030"],
        ["logger=none"],
        ["paths.outputs=/x", "paths.cache=/y"],
        ["callbacks.progress=null"],
        ["callbacks.progress.every_seconds=1"],
        ["experiment=lm/tang_quatrains"],
    ],
)
def test_keys_that_change_no_number_do_not_change_the_identity(typed):
    assert identity(compose(typed)) == identity(compose())


def test_a_config_that_may_not_be_changed_is_left_alone():
    cfg = compose()
    OmegaConf.set_readonly(cfg, True)
    OmegaConf.set_struct(cfg, True)
    before = OmegaConf.to_yaml(cfg)
    assert identity(cfg) == identity(compose())
    assert OmegaConf.to_yaml(cfg) == before


def test_validate_does_not_wait_for_torch():
    code = "import sys; from aigc.config.identity import identity; print(len(identity({})), 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "64 False\n"

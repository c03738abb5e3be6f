import pytest
from omegaconf import OmegaConf

from aigc.config.freeze import frozen_yaml


def test_interpolations_are_resolved_and_the_environment_is_not(monkeypatch):
    monkeypatch.setenv("SOME_PLACE", "hush")
    cfg = OmegaConf.create({"a": 1, "b": "${a}", "c": "${oc.env:SOME_PLACE}/x", "d": "see ${c}", "e": ["${d}"]})
    text = frozen_yaml(cfg)
    assert "hush" not in text
    frozen = OmegaConf.create(text)
    raw = OmegaConf.to_container(frozen, resolve=False)
    assert raw["b"] == 1
    assert raw["c"] == "${oc.env:SOME_PLACE}/x"
    assert raw["e"] == ["${d}"]
    assert frozen.e[0] == "see hush/x"


@pytest.mark.parametrize(
    "text",
    [
        "${ oc.env:SOME_PLACE}",
        "${oc.env:SOME_PLACE,'{}'}",
        "${oc.env:${n}}",
        "${oc.env:A_B_C,${oc.env:SOME_PLACE,x}}",
        "${oc.decode:${oc.env:SOME_PLACE}}",
    ],
)
def test_no_spelling_of_the_environment_is_resolved(monkeypatch, text):
    monkeypatch.setenv("SOME_PLACE", "hush")
    written = frozen_yaml(OmegaConf.create({"n": "SOME_PLACE", "a": text, "b": {"c": "${a}"}}))
    assert "hush" not in written
    assert OmegaConf.create(written).b.c == "hush"

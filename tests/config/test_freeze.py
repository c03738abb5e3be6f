from omegaconf import OmegaConf

from aigc.config.freeze import frozen_yaml


def test_interpolations_are_resolved_and_the_environment_is_not(monkeypatch):
    monkeypatch.setenv("SECRET_PLACE", "hush")
    cfg = OmegaConf.create({"a": 1, "b": "${a}", "c": "${oc.env:SECRET_PLACE}/x", "d": "see ${c}", "e": ["${d}"]})
    text = frozen_yaml(cfg)
    assert "hush" not in text
    frozen = OmegaConf.create(text)
    raw = OmegaConf.to_container(frozen, resolve=False)
    assert raw["b"] == 1
    assert raw["c"] == "${oc.env:SECRET_PLACE}/x"
    assert raw["e"] == ["see ${oc.env:SECRET_PLACE}/x"]
    assert frozen.e[0] == "see hush/x"

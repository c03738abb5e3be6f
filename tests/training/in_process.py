"""Runs of a tiny language model that are trained in this process, from a composed config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from aigc.config import check, compose
from aigc.config.freeze import frozen_yaml
from aigc.launch.ranks.group import Agreement, Ranks
from aigc.launch.train import Training
from aigc.runs import Run
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.metrics_file import read_lines
from tests.launch.tiny_runs import LANGUAGE_MODEL, place_at

STEPS = 10


def tiny_config(place: Path, *overrides: str, nodes: Mapping[str, Any] | None = None) -> DictConfig:
    """Return the checked config of a run of ten steps.

    Args:
        place: The working directory, which gets a corpus.
        overrides: Added to those of every such run.
        nodes: Sections or nodes that replace those of the config, by full key.
    """
    place_at(place)
    always = [
        f"trainer.max_steps={STEPS}",
        "trainer.validate_every_n_steps=2",
        "trainer.log_every_n_steps=1",
        "trainer.accelerator=cpu",
        "trainer.deterministic=false",
        "evaluation=null",
        "logger=none",
    ]
    cfg = compose([*LANGUAGE_MODEL[:-3], *always, *overrides])
    for key, node in (nodes or {}).items():
        OmegaConf.update(cfg, key, OmegaConf.create(node), merge=False, force_add=True)
    check(cfg)
    return cfg


def begin(cfg: DictConfig, place: Path) -> Run:
    """Create a run folder."""
    return Run.create(place / "outputs/runs", "tiny", frozen_yaml(cfg), [])


def attempt(run: Run, cfg: DictConfig | None = None, until: int | None = None) -> Run:
    """Train a run to its end or until a step, from its newest checkpoint if there is one."""
    with run.edit_manifest() as manifest:
        manifest.begin_attempt(0, ())
    with Heartbeat(run.path) as beat:
        Training(run, run.config if cfg is None else cfg, beat, Agreement(Ranks())).train(until)
    return run


def train(place: Path, *overrides: str, nodes: Mapping[str, Any] | None = None) -> Run:
    """Train a run to its end."""
    cfg = tiny_config(place, *overrides, nodes=nodes)
    return attempt(begin(cfg, place), cfg)


def values(run: Run, name: str) -> dict[int, float]:
    """Return what was recorded under a name, by step."""
    return {row["step"]: row[name] for row in read_lines(run.path / "metrics.jsonl") if name in row}

"""A logger of one's own is told where a run resumes, as those of the package are."""

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import OmegaConf
from pytorch_lightning.loggers.logger import DummyLogger

from aigc.launch.components import build_loggers
from aigc.logger import rewind
from aigc.runs import Run


class Notebook(DummyLogger):
    """A logger that keeps what it is told."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.step = -1
        self.rows: list[Mapping[str, Any]] = []

    def resume_from_step(self, step: int) -> None:
        self.step = step

    def resume_from_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.rows = list(rows)


def test_a_logger_of_ones_own_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr("aigc.config.trust._named", [__name__.partition(".")[0]])
    row = '{"step": 3, "epoch": 0, "wall_time": 1.0, "train/loss": 2.0}\n'
    (tmp_path / "metrics.jsonl").write_text(row)
    cfg = OmegaConf.create({"logger": {"mine": {"_target_": f"{__name__}.Notebook"}, "off": None}})
    loggers = build_loggers(cfg, Run(tmp_path), step=3)
    mine = loggers[-1]
    assert isinstance(mine, Notebook)
    assert mine.step == 3
    rewind(loggers, len(row))
    assert [(one["step"], one["train/loss"]) for one in mine.rows] == [(3, 2.0)]

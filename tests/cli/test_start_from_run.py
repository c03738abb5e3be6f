"""A run that starts from the model of another run."""

import pytest

from aigc.runs import Run
from tests.small_models import shrink_models

pytestmark = pytest.mark.slow

SHORT = ["debug=fast", "trainer.num_threads=1"]


def test_a_run_starts_from_another_run_and_resumes_from_the_same_one(own_place, in_process, monkeypatch):
    shrink_models(own_place)
    assert in_process("train", *SHORT)[0] == 0
    first = Run.open("latest")
    code, _, shown = in_process("train", *SHORT, "model=pretrained", "model.path=run:latest", "optimizer.lr=0")
    assert code == 0, shown
    second = Run.open("latest")
    assert second.id != first.id
    named = f"run:{first.path}"
    assert (second.config.model.path, second.config.data.tokenizer.path) == (named, named)
    one, other = (run.manifest["artifacts"]["model/model.safetensors"] for run in (first, second))
    assert one == other  # nothing was learned, and nothing was lost
    assert in_process("resume", second.id, "trainer.max_steps=3", "trainer.limit_val_batches=1")[0] == 0
    assert Run.open(second.id).config.model.path == named


def test_a_run_without_a_model_is_refused_before_anything_is_read(own_place, in_process):
    Run.create(own_place / "outputs/runs", "lm/tiny", "seed: 1\n", command=["aigc"])
    code, _, shown = in_process("train", *SHORT, "model=pretrained", "model.path=run:latest")
    assert code == 2
    assert "model.path" in shown
    assert "aigc resume" in shown
    assert len(list((own_place / "outputs/runs").iterdir())) == 1

"""`aigc eval` of tasks that make images: those that validate on held-out images are measured again."""

import json
from functools import partial

import pytest

from tests.conftest import write
from tests.training.tiny_gan import random_images

EXPERIMENT = """\
# @package _global_
# aigc train experiment=vae --trust tests
defaults:
  - override /data: images
  - override /model: autoencoder
  - override /evaluation: null
task:
  _target_: tests.training.vae.VAE
data:
  path: {images}
  batch_size: 4
  validation_fraction: 0.25
scheduler: null
trainer:
  max_steps: 6
  validate_every_n_steps: 2
"""


@pytest.fixture
def measure(in_process):
    """Run `aigc eval ... --trust tests` as `in_process` does."""
    return partial(in_process, "eval", "--trust", "tests")


@pytest.mark.slow
def test_an_image_task_is_measured_as_training_did_and_on_other_images(own_place, in_process, measure):
    images = random_images(own_place)
    write(own_place / "conf/experiment/vae.yaml", EXPERIMENT.format(images=images))
    write(own_place / "conf/model/autoencoder.yaml", "_target_: tests.training.vae.Autoencoder\n")
    code, _, error = in_process("train", "experiment=vae", "--trust", "tests")
    assert code == 0, error
    [run] = (own_place / "outputs/runs").iterdir()
    trained = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["result"]["metrics"]["val/loss"]
    code, shown, error = measure(run.name, "--json")
    assert code == 0, error
    assert json.loads(shown)["metrics"]["val/loss"] == trained
    code, shown, error = measure(run.name, "--json", f"data.validation_path={images}")
    assert code == 0, error
    assert json.loads(shown)["metrics"]["val/loss"] != trained
    kept = [json.loads(line) for line in (run / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["metrics"]["val/loss"] == trained for row in kept] == [True, False]
    code, _, error = measure(run.name, "data.validation_fraction=0")
    assert code == 2
    assert "set data.validation_fraction or data.validation_path" in error

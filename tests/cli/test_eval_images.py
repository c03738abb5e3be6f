"""`aigc eval` of tasks that make images: those that validate on held-out images are measured again."""

import json
from functools import partial

import pytest

from aigc.errors import InputError
from aigc.inference.image_generator import SavedImageGenerator
from tests.cli.image_runs import bare_run
from tests.conftest import write
from tests.training.tiny_gan import random_images

EXPERIMENT = """\
# @package _global_
# aigc train experiment=vae --trust tests
defaults:
  - override /data: images
  - override /model: autoencoder
  - override /evaluation: images
task:
  _target_: tests.training.vae.VAE
data:
  path: {images}
  batch_size: 4
  validation_fraction: 0.25
scheduler: null
evaluation:
  images:
    samples: 12
    extractor:
      _target_: tests.training.tiny_gan.Projection
    metrics:
      kid: null
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
    trained = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["metrics"]
    expected = {name: value for name, value in trained.items() if name.startswith("val/")}
    assert {"val/loss", "val/fid_projection"} <= expected.keys()
    code, shown, error = measure(run.name, "--json")
    assert code == 0, error
    assert json.loads(shown)["metrics"] == expected
    code, shown, error = measure(run.name, "--json", f"data.validation_path={images}")
    assert code == 0, error
    assert json.loads(shown)["metrics"]["val/loss"] != trained["val/loss"]
    kept = [json.loads(line)["metrics"] for line in (run / "evaluations.jsonl").read_text("utf-8").splitlines()]
    assert [row == expected for row in kept] == [True, False]
    code, _, error = measure(run.name, "data.validation_fraction=0.5")
    assert code == 2
    assert "data.validation_fraction=0.5" in error


def test_a_task_without_validation_is_refused_before_anything_is_loaded(own_place):
    run = bare_run(own_place, "gan", "task: {_target_: aigc.tasks.GanTask}")
    with pytest.raises(InputError, match="score-images"):
        SavedImageGenerator(run).measure(run.config, [])

"""`aigc score-images`: images, statistics and runs, measured from the command line."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.cli.parts.image_metrics import EXTRACTORS, METRICS, parse_name
from aigc.config.targets import signature
from aigc.metrics.image import FeatureStatistics, frechet_distance
from aigc.metrics.image.extractors import EfficientNetLite0
from tests.conftest import REPOSITORY, write

FID = "fid_efficientnet_lite0"
NUMBER = 24


@pytest.fixture
def score(in_process):
    """Run `aigc score-images ...` as `in_process` does."""
    return partial(in_process, "score-images")


def random_images(seed, number=NUMBER):
    """Blurred colours, uint8 of shape (number, 32, 32, 3)."""
    chance = torch.Generator().manual_seed(seed)
    small = torch.rand(number, 3, 3 + seed, 3 + seed, generator=chance)
    large = torch.nn.functional.interpolate(small, size=32, mode="bilinear")
    return (large * 255).byte().permute(0, 2, 3, 1).numpy()


@pytest.fixture
def sets(own_place):
    """Two folders, generated/ and real/."""
    for name, seed in (("generated", 1), ("real", 2)):
        (own_place / name).mkdir()
        for number, image in enumerate(random_images(seed)):
            Image.fromarray(image).save(own_place / name / f"{number:03d}.png")
    return own_place


def scores(done):
    code, out, err = done
    assert code == 0, err
    return json.loads(out)["metrics"]


@pytest.mark.slow
def test_the_distance_equals_that_of_the_features(sets, score):
    found = []
    for seed in (1, 2):
        statistics = FeatureStatistics(EfficientNetLite0())
        statistics.update(torch.from_numpy(random_images(seed)).permute(0, 3, 1, 2))
        found.append(statistics.compute())
    one, other = found
    expected = frechet_distance(one.mean, one.covariance, other.mean, other.covariance)
    told = scores(score("generated", "real", "--metric", FID, "--json"))
    assert told[FID] == pytest.approx(expected, rel=1e-6)
    assert 0 < told["fid_floor_efficientnet_lite0"] < told[FID]


@pytest.mark.slow
def test_all_kinds_of_image_sets_give_the_same_scores(sets, score):
    import zipfile

    with zipfile.ZipFile(sets / "real.zip", "w") as file:
        for path in sorted((sets / "real").iterdir()):
            file.write(path, path.name)
    np.savez(sets / "real.npz", arr_0=random_images(2))
    np.save(sets / "real.npy", random_images(2))
    expected = scores(score("generated", "real", "--metric", FID, "--json"))
    for other in ("real.zip", "real.npz", "real.npy"):
        assert scores(score("generated", other, "--metric", FID, "--json")) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_statistics_can_be_saved_and_compared_with(sets, score):
    names = ["--metric", FID, "--metric", "kid_efficientnet_lite0", "kid.subset_size=20"]
    code, out, _ = score("real", "--save-stats", "real.npz", *names)
    assert (code, out) == (0, "")
    direct, saved = (scores(score("generated", one, *names, "--json")) for one in ("real", "real.npz"))
    assert saved == pytest.approx({name: value for name, value in direct.items() if "floor" not in name}, rel=1e-6)
    with np.load(sets / "real.npz") as file:
        assert {"mu", "sigma"} <= set(file.files)
        np.savez(sets / "as_pytorch_fid.npz", mu=file["mu"], sigma=file["sigma"])
    told = scores(score("generated", "as_pytorch_fid.npz", "--metric", FID, "--json"))
    assert told[FID] == pytest.approx(direct[FID], rel=1e-6)


@pytest.mark.slow
def test_the_table_has_the_extractor_and_the_signature(sets, score):
    code, out, err = score("generated", "real", "--metric", FID, "--metric", "vendi_efficientnet_lite0")
    assert code == 0
    header, first, *_ = out.splitlines()
    assert header.split() == ["metric", "score", "signature"]
    assert first.split()[0] == FID
    assert f"images:{NUMBER}/{NUMBER}" in first
    assert "fewer images than dimensions" in err


@pytest.mark.slow
def test_without_the_weights_of_inception_the_default_is_offline(sets, score, monkeypatch):
    monkeypatch.delenv("AIGC_WEIGHTS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(sets / "nowhere"))
    told = scores(score("generated", "real", "--json", "kid.subset_size=20"))
    assert {FID, "kid_efficientnet_lite0"} <= set(told)
    code, _, err = score("generated", "real", "--metric", "fid")
    assert code == 2
    assert "AIGC_WEIGHTS" in err
    assert "inception.weights_path" in err
    assert "efficientnet_lite0" in err


@pytest.mark.slow
def test_a_name_of_a_folder_and_of_a_run_is_not_guessed(sets, score, monkeypatch):
    (sets / "outputs/runs/real").mkdir(parents=True)
    monkeypatch.setenv("AIGC_OUTPUTS", str(sets / "outputs"))
    code, out, err = score("generated", "real", "--metric", FID)
    assert (code, out) == (2, "")
    assert "./real" in err
    assert str(sets / "outputs/runs/real") in err
    assert scores(score("generated", "./real", "--metric", FID, "--json"))


def test_a_name_of_a_data_config_and_of_a_run_is_not_guessed(sets, score, monkeypatch):
    (sets / "outputs/runs/emoji").mkdir(parents=True)
    monkeypatch.setenv("AIGC_OUTPUTS", str(sets / "outputs"))
    code, _, err = score("generated", "emoji", "--metric", FID)
    assert code == 2
    assert "emoji is a data config and a run" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generated", "nowhere"], "nowhere: there is no such file, folder or data config"),
        (["generated", "real", "--metric", "fdi"], "did you mean fid?"),
        (["generated", "real", "--metric", f"{FID}", "kid.subsets=3"], "add --metric kid"),
        (["generated", "real", "--metric", "kid_efficientnet_lite0", "kid.subset=3"], "did you mean kid.subsets?"),
        (["generated", "real", "--metric", "kid_efficientnet_lite0", "kid.subsets=0"], "at least 1"),
        (["generated", "real", "--metric", FID, "clip.path=x"], "no metric here uses clip"),
        (["generated", "real", "real", "--metric", FID], "3 sets of images are given"),
        (["generated", "--metric", FID], "real images are needed"),
        (["generated", "real", "--save-stats", "a.npz"], "statistics of one set"),
        (["generated", "real", "--samples", "1"], "--samples is 1: it must be at least 2"),
        (["empty", "real", "--metric", FID], "empty"),
        (["generated", "one", "--metric", FID], "at least two images"),
        (["generated", "real", "--metric", "is_efficientnet_lite0", "is.splits=25"], "splits is 25, but there are 24"),
        (["generated", "real", "--metric", "precision_recall_efficientnet_lite0", "precision_recall.k=24"], "k is 24"),
        (["wide.npz", "real", "--metric", FID], "6 dimensions"),
        (["torn", "real", "--metric", FID], "torn.png"),
        (["generated", "tang_quatrains", "--metric", FID], "holds no images"),
    ],
)
def test_bad_input_is_reported(sets, score, arguments, message):
    (sets / "empty").mkdir()
    (sets / "one").mkdir()
    Image.fromarray(random_images(1)[0]).save(sets / "one/a.png")
    (sets / "torn").mkdir()
    whole = (sets / "real/000.png").read_bytes()
    (sets / "torn/torn.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(random_images(1)[0]).save(sets / "torn/whole.png")
    np.savez(sets / "wide.npz", mu=np.zeros(6), sigma=np.eye(6))
    code, out, err = score(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.slow
def test_bad_images_can_be_skipped(sets, score):
    (sets / "generated/torn.png").write_bytes(b"\x89PNG torn")
    assert score("generated", "real", "--metric", FID)[0] == 2
    code, out, err = score("generated", "real", "--metric", FID, "--skip-bad", "--json")
    assert code == 0
    assert json.loads(out)["sets"][0]["images"] == NUMBER
    assert "torn.png" in err


@pytest.mark.slow
def test_a_classifier_of_the_real_images_is_an_extractor(sets, score):
    for number, path in enumerate(sorted((sets / "real").iterdir())):
        (sets / f"classes/{number % 2}").mkdir(parents=True, exist_ok=True)
        path.rename(sets / f"classes/{number % 2}/{path.name}")
    told = scores(score("generated", "classes", "--metric", "fid_classifier", "--metric", "is_classifier", "--json"))
    assert told["fid_classifier"] > 0
    assert 1 <= told["is_classifier"] <= 2
    code, _, err = score("classes", "generated", "--metric", "fid_classifier")
    assert (code, "learns from labels" in err) == (2, True)


@pytest.mark.slow
def test_a_changed_image_is_measured_again(sets, score):
    before = scores(score("generated", "real", "--metric", FID, "--json"))
    assert scores(score("generated", "real", "--metric", FID, "--json")) == before
    Image.fromarray(random_images(5)[0]).save(sets / "real/007.png")
    assert scores(score("generated", "real", "--metric", FID, "--json"))[FID] != before[FID]


def test_every_metric_and_extractor_is_known_by_its_name():
    for target in (*METRICS.targets.values(), *EXTRACTORS.targets.values()):
        assert signature(target).doc
    for name in METRICS.targets:
        assert parse_name(name) == (name, "inception")
        assert parse_name(f"{name}_clip") == (name, "clip")
    assert parse_name("my.package.Mine_clip") == ("my.package.Mine_clip", None)


EXPERIMENT = """\
# @package _global_
# aigc train experiment=tiny --trust tests
defaults:
  - override /data: images
  - override /model: networks
  - override /evaluation: images
task:
  _target_: tests.training.tiny_gan.TinyGan
data:
  path: discs.npz
  batch_size: 4
optimizer:
  lr: 0.003
scheduler: null
evaluation:
  images:
    samples: 30
    every_n_steps: 5
    at_start: true
    extractor:
      _target_: tests.training.tiny_gan.Projection
    metrics:
      kid:
        subset_size: 20
callbacks:
  checkpoints:
    monitor: val/fid_projection
trainer:
  max_steps: 12
  gradient_clip_val: null
  log_every_n_steps: 1
"""


@pytest.mark.slow
def test_a_run_is_measured_while_it_trains_and_afterwards(aigc, own_place, monkeypatch):
    from tests.training.tiny_gan import random_images as discs

    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    discs(own_place)
    write(own_place / "conf/experiment/tiny.yaml", EXPERIMENT)
    write(own_place / "conf/model/networks.yaml", "_target_: tests.training.tiny_gan.Networks\n")
    done = aigc("train", "experiment=tiny", "--trust", "tests")
    assert done.returncode == 0, done.stderr
    assert "val/fid_projection" in done.stdout
    [run] = (own_place / "outputs/runs").iterdir()
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    measured = {row["step"]: row["val/fid_projection"] for row in steps if "val/fid_projection" in row}
    assert sorted(measured) == [0, 5, 10, 12]
    best = min((5, 10, 12), key=measured.__getitem__)
    assert json.loads((run / "manifest.json").read_text(encoding="utf-8"))["result"]["best_step"] == best
    again = aigc(
        "score-images", "latest", "--metric", "fid_efficientnet_lite0", "--samples", "20", "--json", "--trust", "tests"
    )
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert [one["images"] for one in told["sets"]] == [20, 37]
    assert told["metrics"][FID] > 0
    assert run.name in again.stderr

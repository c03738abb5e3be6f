"""From files to scores, the numbers are torch-fidelity's: with one file of weights, random ones as good as any."""

import json
import warnings

import numpy as np
import pytest
import torch_fidelity
from PIL import Image

from aigc.cli.main import main
from tests.unit.metrics.random_inception import write_weights

pytestmark = pytest.mark.slow
SIZES = (8, 31, 64, 299, 400)
MODES = ("L", "RGB", "RGBA")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_weights(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of images of all sizes and modes."""
    place = tmp_path_factory.mktemp("images")
    chance = np.random.default_rng(0)
    for name, brightness in (("generated", 255), ("real", 180)):
        (place / name).mkdir()
        for number in range(10):
            mode, size = MODES[number % 3], SIZES[number % 5]
            channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
            coarse = chance.integers(0, brightness, (5, 5, channels), dtype=np.uint8).squeeze()
            image = Image.fromarray(coarse, mode).resize((size, size + number % 2), Image.Resampling.BICUBIC)
            image.save(place / name / f"{number:02d}.png")
    return place


def test_files_are_scored_as_torch_fidelity_scores_them(weights, folders, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("AIGC_CACHE", str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = torch_fidelity.calculate_metrics(
            input1=str(folders / "generated"),
            input2=str(folders / "real"),
            feature_extractor="inception-v3-compat",  # for precision and recall too, which would take a VGG
            feature_layer_prc="2048",
            feature_extractor_weights_path=str(weights),
            cuda=False,
            batch_size=1,  # the sizes differ
            isc=True,
            fid=True,
            kid=True,
            prc=True,
            kid_subsets=7,
            kid_subset_size=8,
            isc_splits=3,
            cache=False,
            verbose=False,
        )
    names = [word for name in ("fid", "kid", "is", "precision_recall") for word in ("--metric", name)]
    options = [f"inception.weights_path={weights}", "kid.subsets=7", "kid.subset_size=8", "is.splits=3"]
    sets = [str(folders / "generated"), str(folders / "real")]
    assert main(["score-images", *sets, *names, *options, "--json"]) == 0
    ours = json.loads(capsys.readouterr().out)["metrics"]
    for ours_name, their_name in {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid_std": "kernel_inception_distance_std",
        "is": "inception_score_mean",
        "is_std": "inception_score_std",
        "precision": "precision",
        "recall": "recall",
    }.items():
        assert ours[f"{ours_name}_other_inception"] == pytest.approx(theirs[their_name], rel=1e-4), ours_name
    assert 0 < theirs["precision"] < 1 or 0 < theirs["recall"] < 1
    assert theirs["frechet_inception_distance"] > 0

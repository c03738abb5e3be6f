"""`aigc score-images`: statistics files without any network, where they are written, unusable checkpoints."""

import errno

import numpy as np
import pytest
import torch

from aigc.cli.parts.image_metrics import by_extractor, parse_name
from aigc.config import compose
from aigc.config.freeze import frozen_yaml
from aigc.config.trust import trust
from aigc.errors import InputError
from aigc.inference.find import model_of_task
from aigc.metrics.image import FeatureStatistics, frechet, frechet_distance, statistics_file, write_statistics
from aigc.metrics.image.extractors import EfficientNetLite0
from aigc.runs import Run
from aigc.runs.checkpoints import checksum_path
from aigc.runs.files import sha256_file
from tests.cli import test_score_images
from tests.cli.test_score_images import EXPERIMENT, FID, NUMBER, scores
from tests.conftest import write
from tests.training.tiny_gan import Projection, tiny_gan
from tests.training.tiny_gan import random_images as discs

score, sets = test_score_images.score, test_score_images.sets


@pytest.fixture
def no_network(monkeypatch):
    """Make extractors unavailable, as files need none."""
    monkeypatch.setattr(EfficientNetLite0, "__init__", lambda self: pytest.fail("a network was built"))
    monkeypatch.setattr("aigc.cli.score_images.EXTRACTORS", None)


@pytest.fixture
def files(own_place):
    """Statistics of aigc with features, a.npz and b.npz; of pytorch-fid, c.npz; of clean-fid, d.npz."""
    made = []
    for name in "ab":
        chance = torch.Generator().manual_seed(ord(name))
        statistics = FeatureStatistics(Projection(), keep=True)
        statistics.update((torch.rand(NUMBER, 3, 8, 8, generator=chance) * 255).byte())
        made.append(statistics.compute())
        write_statistics(own_place / f"{name}.npz", made[-1])
    np.savez(own_place / "c.npz", mu=made[1].mean, sigma=made[1].covariance)
    np.savez(own_place / "d.npz", feats=made[1].features)
    return made


def test_files_are_compared_without_a_network(files, score, no_network):
    one, other = files
    expected = frechet_distance(one.mean, one.covariance, other.mean, other.covariance)
    told = {name: scores(score("a.npz", name, "--json")) for name in ("b.npz", "c.npz", "d.npz")}
    for found in told.values():
        assert found["fid_projection"] == pytest.approx(expected, rel=1e-5)
    assert set(told["b.npz"]) == set(told["d.npz"]) == {"fid_projection", "kid_projection", "kid_std_projection"}
    assert set(told["c.npz"]) == {"fid_projection"}
    assert scores(score("a.npz", "b.npz", "--json", "--metric", "fid")) == {"fid_projection": pytest.approx(expected)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.npz", "b.npz", "--metric", FID], "a.npz was made by projection"),
        (["a.npz", "b.npz", "inception.weights_path=x"], "need no extractor"),
        (["a.npz", "c.npz", "kid.subsets=3"], "add --metric kid"),
        (["a.npz", "c.npz", "--metric", "kid"], "hold no features"),
        (["a.npz"], "a.npz"),
        (["uneven.npz", "b.npz"], "uneven.npz: sigma is not symmetric"),
        (["short.npz", "b.npz"], "short.npz: feats"),
    ],
)
def test_unusable_files_are_named(files, score, no_network, own_place, arguments, message):
    uneven = files[0].covariance.clone()
    uneven[0, 1] += uneven.abs().max()
    np.savez(own_place / "uneven.npz", mu=files[0].mean, sigma=uneven)
    np.savez(own_place / "short.npz", feats=files[0].features[:1])
    code, out, err = score(*arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--save-stats", "nowhere/a.npz"], "there is no folder nowhere"),
        (["--save-stats", "real"], "--save-stats real: "),
        (["--save-stats", "a.npz", "--metric", FID, "--metric", "fid_clip"], "efficientnet_lite0, clip"),
        (["--save-stats", "closed/a.npz"], "the folder closed"),
    ],
)
def test_impossible_saves_are_refused_before_measuring(sets, score, no_network, monkeypatch, arguments, message):
    (sets / "closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "closed")  # root may write everywhere
    code, out, err = score("real", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (sets / "a.npz").exists()


def test_a_full_disk_is_reported_at_once(files, score, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(statistics_file, "write_atomic", full)
    code, _, err = score("a.npz", "--save-stats", "e.npz")
    assert code == 2
    assert "--save-stats e.npz: " in err
    assert "No space left" in err
    assert "aigc resume" not in err


def test_both_sets_come_in_batches_of_the_size_asked_for(sets, score, monkeypatch):
    monkeypatch.setenv("AIGC_CACHE", str(sets / "cache"))  # nothing is measured yet
    seen = []
    forward = EfficientNetLite0.forward
    monkeypatch.setattr(EfficientNetLite0, "forward", lambda self, x: seen.append(len(x)) or forward(self, x))
    scores(score("generated", "real", "--metric", FID, "--batch-size", "9", "--json"))
    assert seen == [9, 9, 6, 9, 9, 6]


def test_metrics_are_grouped_once_and_each_group_has_its_own(sets, score, monkeypatch):
    named = [parse_name(name) for name in ("fid", "kid_clip", "fid_inception", "mine.Blur_clip", "fid_clip", "fid")]
    assert by_extractor(named, lambda: "clip") == {"inception": ["fid"], "clip": ["kid", "mine.Blur_clip", "fid"]}
    assert by_extractor(named[:2], lambda: pytest.fail("no default is needed"))
    for wrong in ("fid_efficientnet", "precision_recall_efficientnet"):
        with pytest.raises(
            InputError, match=r"extractor efficientnet\. Did you mean efficientnet_lite0\? .*classifier"
        ):
            parse_name(wrong)
    used = []
    scored = frechet.FrechetDistance.scores
    monkeypatch.setattr(frechet.FrechetDistance, "scores", lambda self, *rest: used.append(self) or scored(self, *rest))
    monkeypatch.setattr("aigc.metrics.image.extractors.transformers_vision.CLIP", Small)
    names = ["--metric", FID, "--metric", FID, "--metric", "fid_clip"]
    told = scores(score("generated", "real", *names, "--json", "--trust", __name__.partition(".")[0]))
    assert {FID, "fid_small"} <= set(told)
    assert len({id(one) for one in used}) == len(used) == 2


class Small(Projection):
    """Reduces images of 32 x 32 pixels to features."""

    name = "small"

    def extract(self, images):
        return super().extract(images[..., ::4, ::4])


def test_a_data_config_with_a_missing_value_names_it(sets, score):
    code, out, err = score("generated", "images", "--metric", FID)
    assert (code, out) == (2, "")
    assert "data.path" in err
    assert "1 error\n" in err


@pytest.fixture
def run(own_place):
    """A run of a small GAN that has written one checkpoint."""
    trust(["tests"])
    discs(own_place)
    write(own_place / "conf/experiment/tiny.yaml", EXPERIMENT)
    write(own_place / "conf/model/networks.yaml", "_target_: tests.training.tiny_gan.Networks\n")
    made = Run.create(own_place / "outputs/runs", "tiny", frozen_yaml(compose(["experiment=tiny"])))
    made.checkpoints.mkdir(parents=True, exist_ok=True)
    keep(made, tiny_gan().state_dict())
    (made.checkpoints / "last.ckpt").symlink_to("step-000001.ckpt")
    return made


def keep(run, state):
    path = run.checkpoints / "step-000001.ckpt"
    torch.save({"state_dict": state}, path)
    checksum_path(path).write_text(sha256_file(path), encoding="ascii")


def test_an_unusable_checkpoint_is_reported(run):
    made = model_of_task(run).images(20, 0)
    assert (made.samples, len(made.images)) == (20, 37)
    state = tiny_gan().state_dict()
    keep(run, {name: value for name, value in state.items() if name != "averaged.0.weight"})
    with pytest.raises(InputError, match=rf'step-000001\.ckpt does not fit .*{run.id} now make.*"averaged\.0\.weight"'):
        model_of_task(run).images(20, 0)
    path = run.checkpoints / "step-000001.ckpt"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"step-000001\.ckpt is damaged"):
        model_of_task(run).images(20, 0)

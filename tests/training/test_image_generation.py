"""Images are measured while a task trains, and training does not notice."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from aigc.callbacks import Checkpoints
from aigc.data.random_streams import Stream
from aigc.errors import DivergedRun, InputError
from aigc.evaluation import image_generation
from aigc.generation import images as image_sampling
from aigc.generation.images import draw, make, sample, undisturbed
from aigc.runs.checkpoints import CheckpointFolder
from aigc.tasks import GanTask
from tests.training.helpers import trainer
from tests.training.resumable import STEPS, TASKS, differences, final_state, rows, train
from tests.training.tiny_gan import SIZE, image_data, image_evaluation, tiny_gan

pytestmark = pytest.mark.slow
FID = {"_target_": "aigc.metrics.image.FrechetDistance"}


class KilledError(Exception):
    """The process ends here."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A run that was measured every six steps."""
    folder = tmp_path_factory.mktemp("measured")
    assert train("gan", folder)
    return folder


def tiny(folder, workers):
    return image_data(folder, workers), tiny_gan()


@pytest.mark.parametrize("make", [TASKS["gan"].make, tiny], ids=["gan", "task_that_draws_from_the_global_generator"])
def test_training_is_the_same_without_it_to_the_last_bit(make, tmp_path, monkeypatch):
    task = TASKS["gan"]._replace(make=make)
    for name, evaluate in (("with", task.evaluate), ("without", lambda folder: [])):
        monkeypatch.setitem(TASKS, "gan", task._replace(evaluate=evaluate))
        assert train("gan", tmp_path / name)
    with_it, without = (final_state(tmp_path / name) for name in ("with", "without"))
    assert differences(with_it["state_dict"], without["state_dict"]) == []
    assert differences(with_it["optimizer_states"], without["optimizer_states"]) == []
    assert differences(with_it["aigc"]["ranks"][0]["random"], without["aigc"]["ranks"][0]["random"]) == []
    losses = [
        [{key: value for key, value in row.items() if not key.startswith("val/")} for row in rows(tmp_path / name)]
        for name in ("with", "without")
    ]
    losses[0] = [row for row in losses[0] if any(key.startswith("train/") for key in row)]
    assert losses[0] == losses[1]
    assert len(losses[0]) >= 7


def test_images_that_are_not_finite_are_a_divergence_with_the_step(tmp_path, monkeypatch):
    plain = GanTask.generate

    def generate(self, latents, conditions):
        return plain(self, latents, conditions) * (float("nan") if self.steps_done == 12 else 1.0)

    monkeypatch.setattr(GanTask, "generate", generate)
    with pytest.raises(DivergedRun, match="images hold NaN after step 12"):
        train("gan", tmp_path)


@pytest.mark.parametrize("step", [12, STEPS])
def test_an_evaluation_that_was_killed_is_done_again(step, measured, tmp_path, monkeypatch):
    plain = image_generation.compare

    def killed(*arguments):
        if (tmp_path / f"checkpoints/step-{step:06d}.ckpt").exists():
            raise KilledError
        return plain(*arguments)

    monkeypatch.setattr(image_generation, "compare", killed)
    with pytest.raises(KilledError):
        train("gan", tmp_path)
    monkeypatch.undo()
    assert train("gan", tmp_path)
    assert differences(final_state(tmp_path), final_state(measured)) == []
    assert rows(tmp_path) == rows(measured)


def test_values_images_and_signatures_are_kept(measured):
    lines = [json.loads(line) for line in (measured / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    evaluations = [line for line in lines if "val/fid_projection" in line]
    assert [line["step"] for line in evaluations] == [6, 12, 18, 24, STEPS]
    for line in evaluations:
        assert {"val/fid_projection", "val/fid_floor_projection", "val/kid_projection"} <= set(line)
        assert line["signatures"]["val/kid_projection"] == "projection|subsets:3|size:10|seed:2020|images:30/49"
    assert len({line["val/fid_projection"] for line in evaluations}) == 5
    for step in (6, 12, 18, 24, STEPS):
        for name, size in (("", (28, 18)), ("-interpolation", (28, 38)), ("-neighbours", (48, 18))):
            with Image.open(measured / f"samples/step-{step:06d}{name}.png") as image:
                assert image.size == size


def test_the_best_checkpoint_is_that_of_the_lowest_value(measured):
    values = {row["step"]: row["val/fid_projection"] for row in rows(measured) if "val/fid_projection" in row}
    best = (measured / "checkpoints/best.ckpt").resolve()
    assert best == CheckpointFolder(measured / "checkpoints").file(min(values, key=values.get)).resolve()


def test_a_value_of_another_step_never_decides(tmp_path):
    """Saved at every second step and measured at every sixth: only measured ones can be best."""
    data, task = image_data(tmp_path), tiny_gan()
    saver = Checkpoints("val/fid_projection", every_n_steps=2, every_n_minutes=None, keep_best=20)
    ranked = []

    class Watch(type(saver)):
        def _improve(self, module):
            improved = super()._improve(module)
            ranked.append((module.steps_done, improved))
            return improved

    saver.__class__ = Watch
    made = trainer(tmp_path, max_steps=20, callbacks=[saver, image_evaluation(tmp_path)], limit_train_batches=12)
    made.fit(task, datamodule=data)
    assert [step for step, improved in ranked if improved] == [6, 12, 18, 20]
    assert sorted(one["step"] for one in saver.ranking) == [6, 12, 18, 20]
    task.recorded_at["val/fid_projection"] = 18
    saver.ranking.clear()
    assert not saver._improve(task)


@pytest.fixture
def task():
    torch.manual_seed(0)
    return tiny_gan()


def test_any_number_of_ranks_makes_the_same_images(task, monkeypatch):
    def made(ranks):
        found = {}
        for rank in range(ranks):
            monkeypatch.setattr(image_sampling, "data_rank", lambda rank=rank: (rank, ranks))
            for numbers, images, _ in sample(task, 45, seed=1, batch_size=8):
                found |= dict(zip(numbers.tolist(), images, strict=True))
        return torch.stack([found[number] for number in range(45)])

    whole = made(1)
    assert whole.shape == (45, 3, SIZE, SIZE)
    assert whole.dtype == torch.uint8
    assert all(torch.equal(made(ranks), whole) for ranks in (2, 3, 7))
    monkeypatch.undo()
    for batch_size in (1, 16, 45, 100):
        split = torch.cat([images for _, images, _ in sample(task, 45, seed=1, batch_size=batch_size)])
        torch.testing.assert_close(split.short(), whole.short(), atol=1, rtol=0)  # a network rounds by batch
    assert len(torch.unique(whole.flatten(1), dim=0)) == 45


def test_modes_and_random_state_are_put_back(task):
    task.discriminator.eval()
    state = torch.get_rng_state()
    with undisturbed(task):
        assert not any(module.training for module in task.modules())
        assert not torch.is_grad_enabled()
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert task.generator.training
    assert not task.discriminator.training


def test_noise_that_networks_draw_repeats(task, monkeypatch):
    plain = task.generate
    monkeypatch.setattr(task, "generate", lambda *drawn: (plain(*drawn) + 0.3 * torch.randn(4, 1, 1, 1)).clamp(-1, 1))
    first = make(task, draw(task, 4, 0, Stream.GRID))
    torch.rand(5)
    assert torch.equal(make(task, draw(task, 4, 0, Stream.GRID)), first)
    assert not torch.equal(make(task, draw(task, 4, 0, Stream.STRIP)), first)


def test_a_file_that_is_not_an_image_is_refused(task, monkeypatch):
    monkeypatch.setattr(task, "generate", lambda *drawn: torch.zeros(3, 8))
    with pytest.raises(InputError, match=r"generate must give a float tensor of shape \(count, channels"):
        make(task, draw(task, 4, 0, Stream.GRID))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"metrics": {"is": {"_target_": "aigc.metrics.image.InceptionScore", "splits": 31}}}, "splits is 31"),
        ({"metrics": {"p": {"_target_": "aigc.metrics.image.PrecisionRecall", "k": 30}}}, "k is 30"),
        ({"extractor": "classifier"}, "learns from labels"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_first_step(settings, said, task, tmp_path):
    made = trainer(tmp_path, max_steps=1, callbacks=[image_evaluation(tmp_path, **settings)])
    with pytest.raises(InputError, match=said):
        made.fit(task, datamodule=image_data(tmp_path))
    assert task.global_step == 0


def test_two_metrics_of_one_score_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"images\.metrics\.b gives .* fid_projection, .*\.images\.metrics\.a"):
        image_evaluation(tmp_path, metrics={"a": FID, "b": FID})


def test_without_metrics_images_alone_are_made(task, tmp_path, monkeypatch):
    monkeypatch.setattr(image_generation, "measure_samples", None)
    alone = image_evaluation(tmp_path, metrics={"fid": None}, every_n_steps=1)
    trainer(tmp_path, max_steps=1, callbacks=[alone]).fit(task, datamodule=image_data(tmp_path))
    assert not any(name.startswith("val/") for name in task.latest)
    assert len(list((tmp_path / "samples").glob("step-000001*.png"))) == 3


def test_neighbours_are_the_nearest_images(measured, task, tmp_path):
    """The extractor's features of a training image are nearest to those of the image itself."""
    from aigc.metrics.image import nearest
    from tests.training.tiny_gan import Projection

    data = image_data(tmp_path)
    callback = image_evaluation(tmp_path)
    real = callback._statistics_of_real(data.images, Projection())
    images = torch.from_numpy(np.stack([data.images.read(number) for number in (3, 20)])).permute(0, 3, 1, 2)
    found = nearest(Projection()(images).features, real.whole, 2)
    assert found[:, 0].tolist() == [3, 20]

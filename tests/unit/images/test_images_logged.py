"""Grids, animations, and images on their way to loggers."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from aigc.generation.animation import webp
from aigc.generation.grids import columns_of, grid, png
from aigc.logger import TensorBoard, WandB, image_file, log_image, rewind
from aigc.logger.jsonl import MetricsFileLogger
from aigc.runs import Run
from tests.training.tiny_gan import Networks, TinyGan, image_evaluation


def images(number, channels=3, size=4):
    return torch.randint(256, (number, channels, size, size), generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize(
    ("labels", "columns"),
    [
        ([0, 1, 2, 0, 1, 2, 0], 3),
        ([2, 0, 1, 2, 0, 1], 3),
        ([0, 1, 2], None),
        ([0, 1, 2, 0], 3),
        ([0, 0, 1, 1], None),
        ([0, 1, 0, 1, 1], None),
        ([3, 3], None),
        ([], None),
        (None, None),
    ],
)
def test_each_class_has_a_column_if_classes_take_turns(labels, columns):
    given = None if labels is None else torch.tensor(labels)
    assert columns_of(given) == columns


def test_a_grid_holds_each_image_at_its_position():
    given = images(5)
    sheet = grid(given, 3)
    assert sheet.shape == (3, 10, 16)
    for place, image in enumerate(given):
        top, left = 6 * (place // 3), 6 * (place % 3)
        assert torch.equal(sheet[:, top : top + 4, left : left + 4], image)
    assert (sheet[:, 6:, 12:] == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_kept_without_loss(channels):
    image = images(1, channels)[0]
    with Image.open(io.BytesIO(png(image))) as opened:
        found = torch.from_numpy(np.array(opened)).reshape(4, 4, channels).permute(2, 0, 1)
    assert torch.equal(found, image)
    frames = images(5, channels)
    with Image.open(io.BytesIO(webp(list(frames), 20))) as opened:
        assert (opened.format, opened.n_frames, opened.info["loop"]) == ("WEBP", 5, 0)
        for number, frame in enumerate(frames):
            opened.seek(number)
            shown = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)
            assert torch.equal(shown, frame.expand(3, 4, 4))
            assert opened.info["duration"] == 50


class Coloured(TinyGan):
    """Its images are as bright as the number of their class."""

    def conditions(self, count, generator):
        return {"labels": torch.randint(3, (count,), generator=generator)}

    def grid_conditions(self, count):
        return {"labels": torch.arange(count) % 3}

    def generate(self, latents, conditions):
        return (conditions["labels"].float() / 2 * 2 - 1).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)


@pytest.mark.parametrize("in_turn", [True, False])
def test_the_grid_of_a_training_has_a_column_for_each_class(in_turn, tmp_path, monkeypatch):
    task = Coloured(Networks().create(), torch.optim.Adam)
    if not in_turn:
        monkeypatch.setattr(Coloured, "grid_conditions", lambda self, count: {})
    sheet = image_evaluation(tmp_path, grid=9)._grid(task)[0]
    columns = sheet[2::10, 2::10]
    assert columns.shape == (3, 3)
    assert torch.equal(columns, torch.tensor([0, 128, 255]).byte().repeat(3, 1)) == in_turn


def test_tensorboard_shows_an_image_under_its_step(tmp_path):
    logger = TensorBoard(Run(tmp_path))
    image = images(1)[0]
    log_image([logger, MetricsFileLogger(Run(tmp_path))], "samples/grid", image, 300)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (event,) = events.Images("samples/grid")
    assert event.step == 300
    with Image.open(io.BytesIO(event.encoded_image_string)) as opened:
        assert np.array_equal(np.array(opened), image.permute(1, 2, 0).numpy())


class Recorded:
    """Stands for a W&B run: what was logged, under which number."""

    def __init__(self, step=0):
        self.step = step
        self.rows = {}

    def log(self, values, step):
        assert step >= self.step, "W&B drops rows that come late"
        self.step = step
        self.rows.setdefault(step, {}).update(values)


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def attempt(run, steps, before=None, experiment=None):
    """Three values a step, and an image after the second one of every other step; `before` is where it resumes."""
    files, wandb = MetricsFileLogger(run), WandB(run)
    wandb._experiment = experiment or Recorded()
    if before is not None:
        rewind([files, wandb], *before)
    places = {}
    for step in steps:
        for name in ("train/loss", "val/fid", "train/speed"):
            for logger in (files, wandb):
                logger.log_metrics({name: float(step)}, step)
            if name == "val/fid" and step % 2 == 0:
                image = torch.full((3, 4, 4), step, dtype=torch.uint8)
                path = image_file(run.samples, "samples/grid", step)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(png(image))
                log_image([files, wandb], "samples/grid", image, step)
        places[step] = files.flush()
    return wandb._experiment.rows, places


def shown(rows):
    """Number of row, its step, its names, and the grey of its image."""
    return [
        (number, row["trainer/global_step"], *sorted(row), np.array(row["samples/grid"].image).max())
        if "samples/grid" in row
        else (number, row["trainer/global_step"], *sorted(row))
        for number, row in sorted(rows.items())
    ]


def test_a_step_is_one_row_with_its_image(run):
    rows, _ = attempt(run, range(1, 5))
    assert sorted(rows) == list(range(4))
    assert all({"train/loss", "val/fid", "train/speed"} <= row.keys() for row in rows.values())
    assert [number for number, row in rows.items() if "samples/grid" in row] == [1, 3]
    assert all("val/fid" in row for row in rows.values() if "samples/grid" in row)


def test_a_killed_run_that_resumes_shows_the_same_rows_and_images(run, tmp_path_factory):
    whole, _ = attempt(Run(tmp_path_factory.mktemp("whole")), range(1, 7))
    _, places = attempt(run, range(1, 5))
    again, _ = attempt(run, range(4, 7), before=places[3])  # killed after step 4, saved at step 3
    assert shown(again) == shown(whole)


def test_what_the_server_has_already_is_not_sent_again(run):
    _, places = attempt(run, range(1, 5))
    rows, _ = attempt(run, range(5, 7), before=places[4], experiment=Recorded(step=4))
    assert sorted(rows) == [4, 5]
    assert [number for number, row in rows.items() if "samples/grid" in row] == [5]


def test_values_of_a_step_that_the_server_has_closed_are_sent_in_a_row_of_their_own(run):
    files, wandb = MetricsFileLogger(run), WandB(run)
    for logger in (files, wandb):
        wandb._experiment = Recorded()
        logger.log_metrics({"train/loss": 1.0}, 1)
    again = WandB(run)
    again._experiment = Recorded(step=1)
    rewind([files, again], *files.flush())
    for logger in (files, again):
        logger.log_metrics({"val/fid": 2.0}, 1)
    assert again._experiment.rows == {1: {"val/fid": 2.0, "trainer/global_step": 1}}


@pytest.mark.slow
def test_wandb_keeps_rows_and_images_of_an_offline_run(run, monkeypatch):
    monkeypatch.chdir(run.path)
    files, logger = MetricsFileLogger(run), WandB(run)
    before = (0, "")
    for attempted in (1, 2):
        if attempted == 2:
            files, logger = MetricsFileLogger(run), WandB(run)
            rewind([files, logger], *before)
        for step in (10 * attempted, 10 * attempted + 1):
            for one in (files, logger):
                one.log_metrics({"val/fid": step / 2}, step)
            image = torch.full((3, 4, 4), step, dtype=torch.uint8)
            run.samples.mkdir(exist_ok=True)
            image_file(run.samples, "samples/grid", step).write_bytes(png(image))
            log_image([files, logger], "samples/grid", image, step)
        assert logger.experiment.step == 2 * attempted - 1
        before = files.flush()
        logger.experiment.finish()
    folders = sorted(run.path.glob("wandb/offline-run-*"))
    kept = [sorted(folder.glob("files/media/images/samples/grid_*.png")) for folder in folders]
    assert [[int(path.name.split("_")[1]) for path in paths] for paths in kept] == [[0, 1], [0, 1, 2, 3]]
    assert [np.array(Image.open(path)).max() for path in kept[-1]] == [10, 11, 20, 21]

"""A kind of image model that is not a GAN: trained, measured, resumed, saved and loaded by what GANs use."""

import random
from functools import partial

import numpy as np
import pytest
import torch

from aigc.config.trust import trust
from aigc.errors import InputError
from aigc.evaluation import Evaluation
from aigc.models.images.saved import load_generator
from tests.training.rank_worlds import found_by_ranks
from tests.training.resumable import TASKS, Resumable, differences, final_state, rows, train
from tests.training.tiny_gan import image_data, image_evaluation
from tests.training.vae import VAE, Autoencoder
from tests.training.validation_ranks import BATCH_SIZES


def make(folder, workers):
    data = image_data(folder, workers)
    return data, VAE(Autoencoder().create(data), partial(torch.optim.Adam, lr=3e-3))


def test_a_vae_trains_is_measured_and_resumes_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "vae", Resumable(make, 1, "val/fid_projection", lambda f: [image_evaluation(f)]))
    assert train("vae", tmp_path / "whole")
    assert not train("vae", tmp_path / "stopped", signal_at_batch=14)
    assert train("vae", tmp_path / "stopped")
    assert differences(final_state(tmp_path / "stopped"), final_state(tmp_path / "whole")) == []
    found = rows(tmp_path / "whole")
    assert rows(tmp_path / "stopped") == found
    losses = [row["train/loss"] for row in found if "train/loss" in row]
    assert losses[-1] < losses[0]
    assert sum("val/fid_projection" in row for row in found) >= 2


class Draws(Evaluation):
    """An evaluation that draws as any code may; in a new process more, as what is loaded then starts with noise."""

    at_validation = False

    def __init__(self):
        super().__init__(samples=1, every_n_steps=4, at_start=True)
        self.draws = 7

    def evaluate(self, trainer, module):
        torch.rand(self.draws), np.random.rand(self.draws), random.random()
        self.draws = 1


def test_what_an_evaluation_draws_changes_no_step_and_no_resumed_run(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "vae", Resumable(make, 1))
    assert train("vae", tmp_path / "alone")
    monkeypatch.setitem(TASKS, "vae", Resumable(make, 1, evaluate=lambda _: [Draws()]))
    assert train("vae", tmp_path / "whole")
    assert not train("vae", tmp_path / "stopped", signal_at_batch=14)
    assert train("vae", tmp_path / "stopped")
    assert rows(tmp_path / "whole") == rows(tmp_path / "alone") == rows(tmp_path / "stopped")
    assert differences(final_state(tmp_path / "stopped"), final_state(tmp_path / "whole")) == []


def test_a_validation_counts_each_image_once_on_any_number_of_ranks(tmp_path):
    alone, *ranks = found_by_ranks("tests.training.validation_ranks", tmp_path)
    for size in BATCH_SIZES:
        assert alone[str(size)]["val/loss"] == pytest.approx(alone["1"]["val/loss"], rel=1e-6)
        for rank in ranks:
            assert rank[str(size)]["val/loss"] == pytest.approx(alone["1"]["val/loss"], rel=1e-6)
    assert "refused" not in alone
    assert all("ValidatedImageTask" in rank["refused"] for rank in ranks)


def test_values_that_are_not_of_one_image_each_are_refused(tmp_path):
    _, task = make(tmp_path, 0)
    task.losses = lambda *given: torch.zeros(())
    with pytest.raises(InputError, match=r"validation_values .*loss of shape \(\) for 2 images"):
        task.validation_step({"images": torch.zeros(2, 3, 8, 8)}, 0)


def test_what_a_vae_leaves_is_a_generator_like_any_other(tmp_path):
    trust(["tests"])
    data, task = make(tmp_path, 0)
    task.save_model(tmp_path)
    generator, names = load_generator(tmp_path)
    latents = task.latents(3, torch.Generator().manual_seed(0))
    assert torch.equal(generator(latents), task.eval().generate(latents, {}))
    assert names == []
    assert generator(latents).shape == (3, data.channels, data.resolution, data.resolution)

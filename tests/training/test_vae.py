"""A kind of image model that is not a GAN: trained, measured, resumed, saved and loaded by what GANs use."""

from functools import partial

import torch

from aigc.config.trust import trust
from aigc.models.images.saved import load_generator
from tests.training.resumable import TASKS, Resumable, differences, final_state, rows, train
from tests.training.tiny_gan import image_data, image_evaluation
from tests.training.vae import VAE, Autoencoder


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


def test_what_a_vae_leaves_is_a_generator_like_any_other(tmp_path):
    trust(["tests"])
    data, task = make(tmp_path, 0)
    task.save_model(tmp_path)
    generator, names = load_generator(tmp_path)
    latents = task.latents(3, torch.Generator().manual_seed(0))
    assert torch.equal(generator(latents), task.eval().generate(latents, {}))
    assert names == []
    assert generator(latents).shape == (3, data.channels, data.resolution, data.resolution)

"""What one and two ranks find when a task of images validates on images that do not divide among them."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.strategies import DDPStrategy

from aigc.data.images import ImageData
from aigc.data.images.batches import Batch
from aigc.errors import InputError
from aigc.tasks import ImageTask
from tests.training.helpers import trainer
from tests.training.rank_worlds import main, ranked
from tests.training.tiny_gan import Networks, TinyGan, random_images
from tests.training.vae import VAE, Autoencoder

BATCH_SIZES = (1, 2)
"""Of 7 images the second rank has 3: batches of 1 leave it one that only fills up, those of 2 a smaller one."""


class OwnStep(TinyGan):
    """A task whose validation step knows nothing of images that only fill up a rank."""

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Do nothing with a batch."""


def validated(folder: Path, world: int, task: ImageTask, data: ImageData) -> dict[str, float]:
    """What a validation records."""
    trainer(folder, **ranked(DDPStrategy, world)).validate(task, datamodule=data, verbose=False)
    return task.latest


def find(folder: Path, rank: int, world: int) -> dict[str, Any]:
    """Means by batch size, and what is said of a validation step that would count too much."""
    adam, found = partial(torch.optim.Adam, lr=1e-3), {}
    settings = {"validation_path": str(random_images(folder, 7)), "cache": str(folder / "cache")}
    for size in BATCH_SIZES:
        data = ImageData(str(random_images(folder, 7)), batch_size=size, **settings)
        data.prepare_data()
        torch.manual_seed(0)
        found[str(size)] = validated(folder, world, VAE(Autoencoder().create(data), adam), data)
    try:
        validated(folder, world, OwnStep(Networks().create(), adam), data)
    except InputError as error:
        found["refused"] = str(error)
    return found


if __name__ == "__main__":
    main(find)

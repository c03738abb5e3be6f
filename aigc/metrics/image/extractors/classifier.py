"""A small network trained on the classes of a data set: features and classes where no pretrained network fits."""

import hashlib
from pathlib import Path
from typing import Any

import numpy.typing as npt
import safetensors.torch
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from aigc.errors import InputError
from aigc.metrics.image.extractors.base import Extracted, Extractor
from aigc.metrics.image.extractors.pixels import as_rgb, resize
from aigc.metrics.image.extractors.precision import full_precision
from aigc.printing import plural
from aigc.runs.console import log
from aigc.runs.files import write_atomic

FORMAT = 1
"""Raised whenever the same images, labels and seed would give another network."""
SIZE = 32
CHANNELS = (16, 32, 64, 96)
BATCH = 64
EPOCHS = 3
"""At least; a small set is seen more often."""
_SHIFT = 2
"""Largest number of pixels that images are moved by while the network learns."""

Labels = Tensor | npt.NDArray[Any]


class ClassifierExtractor(Extractor):
    """A convolutional network of about 80,000 parameters that was trained on a set of labelled images.

    It takes images resized to 32 pixels a side, bicubic and antialiased. Features are the 96 means of its last feature
    map. Two sets are compared by one trained network only: its weights are in `identity` and `description`.

    Args:
        network: What `train_classifier` has trained.
    """

    name = "classifier"
    classes: int
    dimensions = CHANNELS[-1]
    preprocessing = f"resize:bicubic{SIZE}"

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.classes = network.classify.out_features
        self.requires_grad_(False).eval()

    def extract(self, images: Tensor) -> Extracted:
        """Resize and apply the network."""
        features, logits = self.network(_scaled(images))
        return Extracted(features, logits)

    def accuracy(self, images: Tensor, labels: Labels) -> float:
        """Return the share of images, from 0 to 1, whose greatest logit is that of their label.

        Args:
            images: uint8 (n, channels, height, width).
            labels: Class numbers from 0, (n,).

        Raises:
            InputError: There are no images, or the labels do not fit them.
        """
        wanted = _checked(labels, len(images), self.classes)
        found = [self(batch).logits.argmax(1).cpu() for batch in torch.split(images, 512)]
        return float((torch.cat(found) == wanted).double().mean())


class Network(nn.Module):
    """Four 3x3 convolutions, each but the first halving the sides, and one linear layer.

    Args:
        classes: How many.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *CHANNELS), CHANNELS, strict=False):
            stride = 2 if layers else 1
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.convolve = nn.Sequential(*layers)
        self.classify = nn.Linear(CHANNELS[-1], classes)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (n, 96) and logits (n, classes) of pixels (n, 3, 32, 32) from -1 to 1."""
        features = self.convolve(pixels).mean((2, 3))
        return features, self.classify(features)


def train_classifier(
    images: Tensor, labels: Labels | None, seed: int = 0, cache: Path | str | None = None, steps: int = 600
) -> ClassifierExtractor:
    """Train the network on labelled images, or load it from the cache: 600 steps take 13 s on two CPU cores.

    The training has a random state of its own and leaves that of the caller as it was. On one kind of machine the same
    arguments give the same weights.

    Args:
        images: uint8 (n, channels, height, width); the network is trained on their device.
        labels: Class numbers from 0, (n,).
        seed: Of first weights, order and shifts.
        cache: A folder where the weights are kept under a hash of all arguments; None keeps nothing.
        steps: Updates with 64 images each, at least; there are never fewer than three passes over the images.

    Raises:
        InputError: There are no labels, they are no class numbers from 0, or they name fewer than two classes.
    """
    wanted = _checked(labels, len(images), len(images))
    if int(wanted.max()) == 0:
        raise InputError("the extractor classifier needs two classes or more, and all labels are 0.")
    pixels = as_rgb(images)
    if cache is None:
        return ClassifierExtractor(_train(pixels, wanted, seed, steps))
    path = Path(cache).expanduser() / f"classifier-{_key(pixels, wanted, seed, steps)}.safetensors"
    if not path.is_file():
        network = _train(pixels, wanted, seed, steps)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, safetensors.torch.save(network.cpu().state_dict()))
    return ClassifierExtractor(_read(path)).to(images.device)


def _train(images: Tensor, labels: Tensor, seed: int, steps: int) -> Network:
    steps = max(steps, -(-EPOCHS * len(images) // BATCH))
    log.info("training a classifier on %s, %s", plural(len(images), "image"), plural(steps, "step"))
    chance = torch.Generator().manual_seed(seed)
    # An evaluation may be in inference mode, where nothing learns.
    with torch.inference_mode(False), torch.enable_grad(), full_precision(images.device.type):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            network = Network(int(labels.max()) + 1)
        network.to(images.device).to(memory_format=torch.channels_last).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
        for chosen in _batches(len(images), steps, chance):
            down, right = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=chance).tolist()
            pixels = _scaled(images[chosen.to(images.device)]).roll((down, right), (2, 3))
            loss = F.cross_entropy(network(pixels)[1], labels[chosen].to(images.device), label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return network.to(memory_format=torch.contiguous_format)  # as safetensors takes it


def _batches(count: int, steps: int, chance: torch.Generator) -> list[Tensor]:
    """Yield the indices of each step's images; every image comes once before any comes again."""
    rounds = -(-steps * BATCH // count)
    order = torch.cat([torch.randperm(count, generator=chance) for _ in range(rounds)])
    return list(torch.split(order[: steps * BATCH], BATCH))


def _scaled(images: Tensor) -> Tensor:
    """Scale pixels from -1 to 1 as the network takes them."""
    return (resize(images, SIZE) / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _read(path: Path) -> Network:
    try:
        state = safetensors.torch.load_file(path)
        with torch.random.fork_rng(devices=[]):  # its first weights are drawn
            network = Network(len(state["classify.bias"]))
        network.load_state_dict(state)
    except (safetensors.SafetensorError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: a damaged classifier. Delete it, and it is trained again.") from error
    return network


def _key(images: Tensor, labels: Tensor, seed: int, steps: int) -> str:
    """Return a hash of all that determines the weights, 16 digits."""
    digest = hashlib.sha256(f"{FORMAT} {tuple(images.shape)} {seed} {steps};".encode())
    for tensor in (images, labels):
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _checked(labels: Labels | None, count: int, most: int) -> Tensor:
    """Return labels below `most` as int64 (count,) on the CPU."""
    if labels is None:
        raise InputError(
            "the extractor classifier is trained on the labels of the data set, and this one has none. "
            "Choose another extractor, as efficientnet_lite0."
        )
    numbers = torch.as_tensor(labels).cpu()
    if numbers.is_floating_point() or numbers.dtype == torch.bool or numbers.shape != (count,) or not count:
        raise InputError(
            f"labels are one whole number for each of {plural(count, 'image')}; these are {numbers.dtype} of shape "
            f"{tuple(numbers.shape)}."
        )
    numbers = numbers.long()
    if int(numbers.min()) < 0 or int(numbers.max()) >= most:
        raise InputError(
            f"labels are class numbers from 0, at most {most - 1} here; these go from {int(numbers.min())} to "
            f"{int(numbers.max())}."
        )
    return numbers

"""Parts of a GAN task: building and checking what a config names, seeding, and freezing networks."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from aigc import losses
from aigc.augmentation.base import Augmentation
from aigc.config import build
from aigc.config.problems import ConfigError, Problem
from aigc.errors import InputError
from aigc.losses.base import AdversarialLoss, DiscriminatorRegulariser, Regulariser
from aigc.models.images.gan import Discriminator
from aigc.tasks.memory import number


def adversarial_loss(loss: str | dict[str, Any]) -> AdversarialLoss:
    """Create the adversarial loss of a name or a node.

    Raises:
        ConfigError: There is no such loss.
    """
    if not isinstance(loss, str):
        return build(loss, AdversarialLoss, "task.loss")
    try:
        return losses.get(loss)
    except InputError as error:
        raise ConfigError([Problem("task.loss", str(error))]) from error


def build_regularisers(nodes: dict[str, Any] | None, recorded: Collection[str]) -> dict[str, Regulariser]:
    """Create the regularisers that are not switched off, by name.

    Args:
        nodes: Named `_target_` nodes.
        recorded: Names of the other values that training records, beside which penalties are recorded.

    Raises:
        ConfigError: A name is not allowed for a module, or is that of another recorded value.
    """
    key = "task.regularisers"
    wrong = [name for name in nodes or {} if "." in name or name in recorded or hasattr(nn.ModuleDict, name)]
    if wrong:
        what = "this name is already in use; choose another"
        raise ConfigError([Problem(f"{key}.{name}", what) for name in wrong])
    return {name: build(node, Regulariser, f"{key}.{name}") for name, node in (nodes or {}).items() if node}


def check_no_batch_normalisation(
    discriminator: Discriminator, regularisers: dict[str, DiscriminatorRegulariser]
) -> None:
    """Check that no gradient penalty is used with batch normalisation in the discriminator.

    Raises:
        ConfigError: One is.
    """
    wrong = (
        [name for name, one in regularisers.items() if one.differentiates] if discriminator.normalises_batches else []
    )
    if wrong:
        what = (
            "a gradient penalty needs the derivative of each output with respect to its own image, and batch "
            "normalisation in the discriminator makes each output depend on all images; choose another "
            "normalisation, or switch this off with null"
        )
        raise ConfigError([Problem(f"task.regularisers.{name}", what) for name in wrong])


def check_logit_signs(loss: AdversarialLoss, augmentation: Augmentation | None) -> None:
    """Check that the sign of the logits means real or fake where an adaptive augmentation depends on it.

    Raises:
        ConfigError: The loss gives the sign no meaning.
    """
    if augmentation is not None and augmentation.reads_signs and not loss.centred:
        what = (
            f"{type(augmentation).__name__} depends on the sign of the logits of real images, and with the loss "
            f"{type(loss).__name__} logits above 0 do not mean real; take aigc.augmentation.ScheduledAugment or "
            "DiffAugment, or task.loss=non_saturating, hinge or minimax"
        )
        raise ConfigError([Problem("task.augmentation", what)])


def more_micro_batches(cfg: DictConfig) -> str | None:
    """Advise twice as many micro-batches; None where a batch cannot be split into so many equal parts."""
    parts, critics = number(cfg, "task.micro_batches") or 1, number(cfg, "task.n_critic") or 1
    images = (number(cfg, "data.batch_size") or 0) * (number(cfg, "data.batches_per_step") or 1)
    if not images or images % (critics * 2 * parts):
        return None
    return f"task.micro_batches={2 * parts} (now {parts}; the same step size)"


def seed_all(seed: int, device: torch.device) -> None:
    """Seed the CPU's and the device's generator; torch.manual_seed would keep the call stack for each kind unused."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from the CPU to a device without waiting, through pinned memory."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients through the network, but not to its weights."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)

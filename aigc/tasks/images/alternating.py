"""Tasks that train several networks in turn, each with its own optimiser."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from aigc.config.problems import ConfigError, Problem
from aigc.distributed.gradients import AveragedGradients, share_first
from aigc.optim.embeddings import mark_embeddings
from aigc.printing import plural
from aigc.tasks.images.base import ImageTask
from aigc.tasks.means import Means


class AlternatingTask(ImageTask):
    """A task that steps several optimisers itself; a subclass names its networks and yields the losses.

    Lightning would count the steps of all optimisers, and clips and accumulates for one alone.

    Args:
        optimizer: Makes an optimiser of parameters.
        scheduler: Makes a schedule of an optimiser and the number of steps; None keeps the rates.
        clip: Maximum gradient norm by name of the network; without one its gradient is not clipped.
    """

    def __init__(
        self,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        clip: Mapping[str, float | None] | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.means = Means()
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._clip = {name: limit for name, limit in (clip or {}).items() if limit is not None}
        self._averages: dict[str, AveragedGradients] = {}

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the networks by name; the steps of the first one are those of the task."""

    def recorded_names(self) -> set[str]:
        """Return the names, without `train/`, of the values that this class records; a subclass adds its own."""
        return {f"{which}_{value}" for which in self.networks() for value in ("gradient_norm", "learning_rate")}

    def scales_badly(self) -> str | None:
        """Return why losses must not be scaled, as float16 needs it; None if they may be."""
        return "gradients are clipped before that is undone" if self._clip else None

    def check_trainer(self, settings: Any) -> None:
        """Check float16 at once, and on a CPU too, where Lightning would take bfloat16 instead."""
        super().check_trainer(settings)
        if settings.precision == "16-mixed":
            self.check_scalable_losses()

    def make_optimizer(self, which: str, network: nn.Module) -> Optimizer:
        """Create the optimiser of one network."""
        return self._make_optimizer(network.parameters())

    def configure_optimizers(self) -> Any:
        """Create an optimiser and a schedule for each network."""
        mark_embeddings(self)
        optimizers = [self.make_optimizer(which, network) for which, network in self.networks().items()]
        if self._make_scheduler is None:
            return optimizers
        return optimizers, [self._make_scheduler(one, total_steps=self.trainer.max_steps) for one in optimizers]

    def on_fit_start(self) -> None:
        """Check that the precision suits the losses; start from the same weights on all ranks.

        Raises:
            ConfigError: float16 with losses that must not be scaled, or weights in 16 bits.
        """
        if self._scaler is not None:
            self.check_scalable_losses()
        if any(parameter.dtype.itemsize < 4 for parameter in self.parameters()):
            raise _unfit("weights of 16 bits do not change by small steps, and their averages never change")
        for averages in self._averages.values():
            averages.close()
        self._averages = {}
        if self.trainer.world_size > 1:
            share_first(chain(self.parameters(), self.buffers()))
            self._averages = {which: AveragedGradients(network) for which, network in self.networks().items()}

    def check_scalable_losses(self) -> None:
        """Check that losses may be scaled, as float16 needs it.

        Raises:
            ConfigError: They must not be.
        """
        if reason := self.scales_badly():
            raise _unfit(f"16-mixed scales losses so that gradients do not vanish in float16, but {reason}")

    def minimise(self, which: str, losses: Iterable[Tensor], count: int = 1, counts: bool = False) -> None:
        """Step the optimiser of one network on the sum of losses; each graph is freed before the next loss is computed.

        Args:
            which: Name of the network.
            losses: Scalars, one for each part of a batch.
            count: Number of losses.
            counts: Whether `steps_done` counts this step.

        Raises:
            DivergedRun: A loss, or the gradient that is clipped, is not finite.
            ValueError: The number of losses is another one.
        """
        network = self.networks()[which]
        optimizer = self.optimizers()[list(self.networks()).index(which)]
        optimizer.optimizer.zero_grad(set_to_none=True)
        averages = self._averages.get(which)
        number = 0
        for number, loss in enumerate(losses, 1):
            self.check_finite(loss)
            if averages and number == count:
                alarm = self.device.type == "cpu" and self.saw_non_finite
                averages.begin(alarm, self._followers(which))
            with torch.autocast(loss.device.type, enabled=False):  # or it would narrow what the loss kept in float32
                self.manual_backward(loss)
        if number != count:
            raise ValueError(f"minimise expected {plural(count, 'loss')} (count) and got {number}")
        if averages and averages.finish():
            self.raise_if_non_finite()
        self._clip_gradient(which, network)
        if counts:
            optimizer.step()
        else:  # Lightning's wrapper would count it
            self.trainer.strategy.optimizer_step(optimizer.optimizer, closure=_nothing)

    def end_step(self) -> None:
        """Advance the schedules of the number of steps; `Monitored` advances those that follow a value."""
        for config in self.trainer.lr_scheduler_configs:
            if not isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_index: int) -> None:
        """Record the means since the last record, and the learning rates."""
        if self.at_logged_step():
            self.raise_if_non_finite()
            ranks = self.trainer.world_size
            values = {f"train/{name}": self.over_ranks(mean) / ranks for name, mean in self.means.take().items()}
            for which, optimizer in zip(self.networks(), self.trainer.optimizers, strict=True):
                values[f"train/{which}_learning_rate"] = optimizer.param_groups[0]["lr"]
            self.record(values)

    def training_state(self) -> dict[str, Any]:
        """Add the sums of the values that are recorded next."""
        return super().training_state() | {"means": self.means.state()}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Restore what `training_state` returned."""
        super().load_training_state(state)
        self.means.load_state(state["means"], self.device)

    def forget_sums(self) -> None:
        """Reset the sums."""
        self.means = Means()

    def _followers(self, which: str) -> list[Tensor]:
        """Return buffers that all ranks copy from the first, once a step: in the phases of the counted network."""
        counted = which == next(iter(self.networks()))
        return [buffer for buffer in self.buffers() if counted and buffer.is_floating_point()]

    def _clip_gradient(self, which: str, network: nn.Module) -> None:
        """Clip, and record the norm; without a limit, record it at logged steps alone."""
        limit = self._clip.get(which)
        if limit is None and (self._scaler is not None or not self._ends_logged_step()):
            return
        norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        self.means.add(f"{which}_gradient_norm", norm)
        if limit is not None:
            self.check_finite(norm, shared=True)
            nn.utils.clip_grads_with_norm_(network.parameters(), limit, norm)

    def _ends_logged_step(self) -> bool:
        return bool((self.steps_done + 1) % self.trainer.log_every_n_steps == 0)

    @property
    def _scaler(self) -> Any:
        return getattr(self.trainer.precision_plugin, "scaler", None)


def _unfit(why: str) -> ConfigError:
    """Return the error for a precision."""
    return ConfigError([Problem("trainer.precision", f"{why}; set trainer.precision=bf16-mixed or 32-true")])


def _nothing() -> None:
    """The closure of an optimiser whose gradients are there already."""

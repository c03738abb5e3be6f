"""Callbacks and schedules that follow a recorded value: that something records it, and when they look at it."""

from collections.abc import Iterator, Mapping

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping
from torch.optim.lr_scheduler import ReduceLROnPlateau

from aigc.callbacks.intervals import measuring_intervals
from aigc.config.problems import ConfigError, Problem, choices
from aigc.runs.console import log
from aigc.tasks import Task


class Monitored(Callback):
    """Checks before the first step that what is followed is recorded, and steps schedules on a plateau.

    Lightning's own early stopping looks at validations only; here it also looks at evaluations between two steps, which
    measure tasks without a validation. It must come after the callbacks that record values.

    Args:
        callbacks: The callbacks of the run by their keys, for messages.
    """

    def __init__(self, callbacks: Mapping[str, Callback]):
        self._callbacks = callbacks

    def on_fit_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Check all monitors.

        Raises:
            ConfigError: It is certain that one of them is never recorded.
        """
        assert isinstance(module, Task)
        known, complete = recorded_names(trainer, module)
        for key, monitor in self._monitors(trainer, module):
            if complete and not known and not monitor.startswith("train/"):
                what = "nothing is measured; validate (data.validation_fraction), evaluate, or follow train/loss"
                raise ConfigError([Problem(key, f"{monitor} is never recorded: {what}")])
            check_recorded(key, monitor, known, complete)
        if all(every >= trainer.max_steps for every in measuring_intervals(trainer, module)):
            for key, _ in self._monitors(trainer, module):
                what = "looks at validations and evaluations, and there is none before the end"
                log.warning("%s %s: set trainer.validate_every_n_steps", key.removesuffix(".monitor"), what)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Step the schedules whose value was recorded."""
        assert isinstance(module, Task)
        if trainer.state.fn == "fit":
            self._step_plateaus(trainer, module)

    def on_evaluation_end(self, trainer: Trainer, module: Task) -> None:
        """Do the same after an evaluation between two steps, and let early stopping look at what it recorded."""
        self._step_plateaus(trainer, module)
        for _, callback in self._stopping():
            if module.recorded_at.get(callback.monitor) == module.steps_done:
                callback.on_validation_end(trainer, module)

    def _monitors(self, trainer: Trainer, module: Task) -> Iterator[tuple[str, str]]:
        for key, callback in self._stopping():
            yield f"{key}.monitor", callback.monitor
        if any(isinstance(config.scheduler, ReduceLROnPlateau) for config in trainer.lr_scheduler_configs):
            monitor = followed(module)
            if monitor is None:
                what = f"{type(module).__name__} has no monitor of its own; name a recorded value, such as train/loss"
                raise ConfigError([Problem("scheduler.monitor", what)])
            yield "scheduler.monitor", monitor

    def _stopping(self) -> Iterator[tuple[str, EarlyStopping]]:
        for key, callback in self._callbacks.items():
            if isinstance(callback, EarlyStopping):
                yield key, callback

    def _step_plateaus(self, trainer: Trainer, module: Task) -> None:
        monitor = followed(module)
        if monitor is None or monitor not in module.latest:
            return
        if not monitor.startswith("train/") and module.recorded_at.get(monitor) != module.steps_done:
            return
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, ReduceLROnPlateau):
                config.scheduler.step(module.latest[monitor])


def followed(module: Task) -> str | None:
    """Return the value that schedules on a plateau follow."""
    return module.schedule_monitor or (module.monitor[0] if module.monitor else None)


def recorded_names(trainer: Trainer, module: Task) -> tuple[set[str], bool]:
    """Return names of values that task and callbacks record, but for `train/`, and whether these are all."""
    known: set[str] = set()
    complete = True
    validates = module.has_validation(trainer.datamodule)
    for one in (module, *trainer.callbacks):
        measures = validates or not getattr(one, "at_validation", one is module)
        declares = getattr(one, "value_names", None) if measures else None
        names = declares() if declares else set()
        # A class of a person's own may record more than it declares.
        own = type(one).__module__.partition(".")[0] not in ("aigc", "pytorch_lightning")
        complete = complete and names is not None and not own
        known |= names or set()
    return known, complete


def check_recorded(key: str, monitor: str, known: set[str], complete: bool) -> None:
    """Check that a value is one of the recorded ones, if all of these are known.

    Raises:
        ConfigError: It is certain that only others are recorded.
    """
    if complete and known and monitor not in known and not monitor.startswith("train/"):
        raise ConfigError([Problem(key, f"nothing records {monitor!r}. {choices(monitor, sorted(known))}")])

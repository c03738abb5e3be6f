"""A bar with headline values, throughput and time left; a line now and then where nobody watches a terminal."""

import time
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from aigc.runs.console import log, stderr
from aigc.tasks import Task


class Progress(Callback):
    """Shows training and validation on stderr.

    Args:
        every_seconds: Seconds between lines when stderr is no terminal.
    """

    def __init__(self, every_seconds: float = 20.0):
        self.every_seconds = every_seconds
        self._bar: Bar | None = None
        self._task: Any = None
        self._shown = 0.0
        self._logged = -1

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Open the bar."""
        assert isinstance(module, Task)
        self._shown = time.monotonic()
        if stderr().is_terminal:
            columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
            self._bar = Bar(*columns, TextColumn("{task.fields[facts]}"), console=stderr())
            self._task = self._bar.add_task("training", total=trainer.max_steps, completed=module.steps_done, facts="")
            self._bar.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Move the bar."""
        assert isinstance(module, Task)
        if self._bar is not None:
            self._bar.update(self._task, completed=module.steps_done, facts=self._facts(module))
        elif time.monotonic() - self._shown >= self.every_seconds:
            self._log(trainer, module)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Say what is waited for."""
        if self._bar is not None:
            self._bar.update(self._task, description="validating")

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Note that training goes on."""
        assert isinstance(module, Task)
        if self._bar is not None:
            self._bar.update(self._task, description="training", facts=self._facts(module))

    def on_evaluation_start(self, trainer: Trainer, module: Task) -> None:
        """Say what is waited for."""
        if self._bar is not None:
            self._bar.update(self._task, description="evaluating")

    def on_evaluation_end(self, trainer: Trainer, module: Task) -> None:
        """Note that training goes on."""
        self.on_validation_end(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Close the bar, or log the last step."""
        assert isinstance(module, Task)
        if self._bar is None and self._logged != module.steps_done:
            self._log(trainer, module)
        self._close()

    def on_exception(self, trainer: Trainer, module: LightningModule, exception: BaseException) -> None:
        """Close the bar."""
        self._close()

    def _log(self, trainer: Trainer, module: Task) -> None:
        self._shown, self._logged = time.monotonic(), module.steps_done
        log.info("%s", f"step {module.steps_done} of {trainer.max_steps}  {self._facts(module)}".rstrip())

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    @staticmethod
    def _facts(module: Task) -> str:
        recorded = [name for name in module.headline if name in module.latest]
        facts = [f"{name.rpartition('/')[2].replace('_', ' ')} {module.latest[name]:.3f}" for name in recorded]
        if (rate := module.latest.get(f"train/{module.unit}_per_second")) is not None:
            facts.append(f"{rate:,.0f} {module.unit}/s")
        if (trainer := module._trainer) is not None and (epochs := trainer.max_epochs or 0) > 0:
            facts.append(f"epoch {min(trainer.current_epoch + 1, epochs)} of {epochs}")
        return "  ".join(facts)

"""Saving and stopping between two steps, on all ranks at the same time."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.distributed import ReduceOp

from aigc.callbacks.checkpoints import Checkpoints
from aigc.distributed.step_signals import DelayedStepSignals, StepSignals
from aigc.runs import stop
from aigc.tasks import Task


class BetweenSteps(Callback):
    """Saves by the clock, and ends a run after a signal (see `aigc.runs.stop`), on all ranks at the same step."""

    def __init__(self) -> None:
        self._common_batches = 0.0
        self._signals = StepSignals()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore our signal handlers, as with those of Lightning the run would end with exit code 0."""
        stop.take_over()
        trainer._signal_connector.received_sigterm = False  # our handler decides
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing
        self._signals = StepSignals() if trainer.world_size == 1 else DelayedStepSignals()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore our signal handlers: a validation outside training registers those of Lightning, too."""
        assert isinstance(module, Task)
        stop.take_over()
        mine = sum(trainer.num_val_batches)
        self._common_batches = module.over_ranks(mine, ReduceOp.MIN)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Save when it is time; save and stop when any rank was asked to."""
        assert isinstance(module, Task)
        if not module.ended_step():
            return
        savers = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)]
        late = any(saver.late() for saver in savers)
        number, late = self._signals.exchange(stop.asked() or 0, late)
        if number or late:
            for saver in savers:
                saver.save(trainer, module)
        if number:
            trainer.strategy.checkpoint_io.wait()
            kept = f" at step {module.steps_done}"
            if savers:
                kept += f", which is saved; `aigc resume {Path(trainer.default_root_dir).name}` resumes it"
            raise stop.ended_by(number, kept)

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int, loader_idx: int = 0
    ) -> None:
        """Stop when asked to: the step was saved before the validation."""
        assert isinstance(module, Task)
        if batch_idx >= self._common_batches:
            return  # another rank may not have this batch, and would not take part
        number = int(module.over_ranks(stop.asked() or 0, ReduceOp.MAX))
        if number:
            raise stop.ended_by(number, " while validating; the step is saved")


def _nothing() -> None:
    """Replace the hook in which Lightning asks whether a rank was asked to stop."""

"""What all ranks do between two steps because one of them asks for it: saving when it is time, and stopping."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.distributed import ReduceOp

from aigc.callbacks.checkpoints import Checkpoints
from aigc.distributed.step_signals import DelayedStepSignals, StepSignals
from aigc.runs import stop
from aigc.tasks import Task


class BetweenSteps(Callback):
    """Saves by the clock, and ends a run once a signal has asked for it (see `aigc.runs.stop`), all ranks at once."""

    def __init__(self) -> None:
        self._common_batches = 0.0
        self._signals = StepSignals()

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take the signals back from Lightning, whose run would end with exit code 0, and its question once a batch."""
        stop.take_over()
        trainer._signal_connector.received_sigterm = False  # ours, and not its, is the one that is asked
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing
        self._signals = StepSignals() if trainer.world_size == 1 else DelayedStepSignals()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take the signals back, as a validation outside training has Lightning register its own, too."""
        assert isinstance(module, Task)
        stop.take_over()
        mine = sum(trainer.num_val_batches)
        self._common_batches = module.over_ranks(mine, ReduceOp.MIN)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Save here when it is time, save and stop here when any rank was asked."""
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
                kept += f", which is saved; `aigc resume {Path(trainer.default_root_dir).name}` goes on"
            raise stop.ended_by(number, kept)

    def on_validation_batch_end(
        self, trainer: Trainer, module: LightningModule, outputs: Any, batch: Any, batch_idx: int, loader_idx: int = 0
    ) -> None:
        """Stop here when asked: the step was saved before the validation."""
        assert isinstance(module, Task)
        if batch_idx >= self._common_batches:
            return  # another rank may have no such batch, and would not be asked
        number = int(module.over_ranks(stop.asked() or 0, ReduceOp.MAX))
        if number:
            raise stop.ended_by(number, " while validating; the step is saved")


def _nothing() -> None:
    """Replace the hook in which Lightning asks whether a rank was told to end."""

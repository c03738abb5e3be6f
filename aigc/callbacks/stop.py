"""Stopping when asked: between two steps, with a checkpoint."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from torch.distributed import ReduceOp

from aigc.callbacks.checkpoints import Checkpoints
from aigc.runs import stop
from aigc.tasks import Task


class StopWhenAsked(Callback):
    """Ends a run between two steps, all ranks at the same one, once a signal has asked for it; see `aigc.runs.stop`."""

    def __init__(self) -> None:
        self._common_batches = 0.0

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take the signals back from Lightning, whose run would end with exit code 0."""
        stop.take_over()
        trainer._signal_connector.received_sigterm = False  # ours, and not its, is the one that is asked

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take the signals back, as a validation outside training has Lightning register its own, too."""
        assert isinstance(module, Task)
        stop.take_over()
        mine = sum(trainer.num_val_batches)
        self._common_batches = module.over_ranks(mine, ReduceOp.MIN)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Save and stop here when any rank was asked."""
        assert isinstance(module, Task)
        if trainer.world_size == 1 and stop.asked() is None:
            return
        if not module.ended_step():
            return
        number = int(module.over_ranks(stop.asked() or 0, ReduceOp.MAX))
        if number:
            kept = f" at step {module.steps_done}"
            savers = [callback for callback in trainer.callbacks if isinstance(callback, Checkpoints)]
            for saver in savers:
                saver.save(trainer, module)
                trainer.strategy.checkpoint_io.wait()
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

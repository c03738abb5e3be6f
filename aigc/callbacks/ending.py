"""The end of a run that a callback asks for before its last step."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import EarlyStopping, Timer

from aigc.runs.console import log
from aigc.tasks import Task


class Ending(Callback):
    """Ends a run between two optimiser steps once a callback has set `trainer.should_stop`, and logs which one.

    Lightning would end it in the middle of an accumulated step, whose gradients a checkpoint does not hold. It must
    come after the callbacks that ask for it.

    Args:
        callbacks: The callbacks of the run by their keys, for messages.
    """

    def __init__(self, callbacks: Mapping[str, Callback]):
        self._callbacks = callbacks
        self._asked = False
        self._waits = False
        """Whether the end waits for `trainer.min_steps`."""

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Ask again for an end that waits."""
        trainer.should_stop |= self._asked

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """End before this batch if an evaluation before it has asked for the end.

        Raises:
            StopIteration: Lightning's word for it.
        """
        assert isinstance(module, Task)
        if trainer.should_stop and module.ended_step() and module.steps_done >= (trainer.min_steps or 0):
            raise StopIteration

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Put the end off until the optimiser has stepped."""
        assert isinstance(module, Task)
        self._asked |= trainer.should_stop
        self._waits = self._asked and module.steps_done < (trainer.min_steps or 0)
        trainer.should_stop = self._asked and module.ended_step()

    def state_dict(self) -> dict[str, Any]:
        """Return whether an end waits."""
        return {"asked": self._waits}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._asked = self._waits = state_dict["asked"]

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Log why the run ends before its last step."""
        assert isinstance(module, Task)
        if trainer.should_stop and module.steps_done < trainer.max_steps:
            log.info("ended at step %s of %s: %s", f"{module.steps_done:,}", f"{trainer.max_steps:,}", self.reason())

    def reason(self) -> str:
        """Return why a callback has ended the run before its last step."""
        return next(filter(None, map(_reason, self._callbacks.items())), "a callback asked for it")


def _reason(named: tuple[str, Callback]) -> str | None:
    """Return why a callback has ended the run; None if it has not."""
    key, callback = named
    if isinstance(callback, EarlyStopping) and callback.stopping_reason_message:
        return f"{key}: {callback.stopping_reason_message.removesuffix(' Signaling Trainer to stop.')}"
    if isinstance(callback, Timer) and (callback.time_remaining() or 1.0) <= 0:
        return f"{key}: its time is over"
    return None

"""Stopping when asked: the first signal stops at the next step with a checkpoint, the second at once."""

import signal
import threading
from types import FrameType
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.errors import InterruptedRun, PreemptedRun
from aigc.tasks import Task


class StopOnSignal(Callback):
    """Ends a run at a step boundary after Ctrl-C (exit code 130) or SIGTERM (exit code 75)."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Take the signals over from Lightning, whose run would end with exit code 0."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Stop here when asked."""
        assert isinstance(module, Task)
        if module.ended_step():
            self._stop_if_asked(trainer, module)

    def on_validation_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Stop here when asked."""
        assert isinstance(module, Task)
        self._stop_if_asked(trainer, module)

    def teardown(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._asked is not None:
            raise KeyboardInterrupt
        self._asked = number  # nothing is printed here: the signal may have come in the middle of a print

    def _stop_if_asked(self, trainer: Trainer, module: Task) -> None:
        if self._asked is None:
            return
        kept = f"at step {module.steps_done}; {trainer.default_root_dir}/checkpoints/last.ckpt is kept"
        if self._asked == signal.SIGTERM:
            raise PreemptedRun(f"told to end (SIGTERM) {kept}")
        raise InterruptedRun(f"interrupted {kept}")

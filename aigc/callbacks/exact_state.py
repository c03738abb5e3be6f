"""The state that Lightning leaves out of checkpoints, so that a resumed run is the same run to the last bit."""

import copy
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer, seed_everything

from aigc.callbacks.order import batches_used, order_of
from aigc.callbacks.position import Order, Position, loop_state, moved
from aigc.callbacks.random_state import random_state, restore_random_state
from aigc.distributed.collectives import gather_objects
from aigc.distributed.data_rank import data_rank
from aigc.errors import InputError
from aigc.logger import metrics_files, rewind
from aigc.runs.console import log
from aigc.tasks import Task

KEY = "aigc"
FORMAT = 1


class ExactState(Callback):
    """Saves and restores position, random generators, the task's own sums, and the length of metrics.jsonl.

    Checkpoints must be saved between two optimiser steps: from `on_train_batch_start`, from `on_validation_start`, or
    when training has ended. Random numbers of a validation or an evaluation do not change training's random generators.

    Args:
        allow: Differences between checkpoint and run that are accepted, see `aigc.callbacks.position.moved`.
    """

    def __init__(self, allow: Collection[str] = ()):
        self.allow = tuple(allow)
        self._begin = Position(0, 0, 0, 0)
        self._before_evaluation: dict[str, Any] | None = None
        self._to_restore: dict[str, Any] | None = None
        self._task_if_longer: dict[str, Any] = {}
        """The task's state after the last step, for a run that takes more steps."""
        self._metrics_if_longer: dict[str, Any] = {}
        self._checked = False

    def on_save_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the state, and write the position of training into the loops of Lightning."""
        assert isinstance(module, Task)
        module.raise_if_diverged()
        order = order_of(trainer, trainer.train_dataloader, trainer.num_training_batches)
        position, place = self._position(trainer, order)
        state = self._before_evaluation or self._to_restore or random_state(trainer.strategy.root_device)
        checkpoint["loops"] = loop_state(position, checkpoint["loops"], order.resumable)
        checkpoint["epoch"] = position.epoch
        own = {"random": state, "task": module.training_state()} | ({} if place is None else {"place": place})
        own |= {"task_if_longer": self._task_if_longer} if self._task_if_longer else {}
        checkpoint[KEY] = {
            "format": FORMAT,
            "step": module.steps_done,
            "position": asdict(position),
            "order": asdict(order),
            "ranks": gather_objects(own),
            **_metrics_position(trainer),
            **({"metrics_if_longer": self._metrics_if_longer} if self._metrics_if_longer else {}),
        }

    def on_checkpoint_read(self, trainer: Trainer, module: Task, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint fits, and set where Lightning continues, before anything is loaded from it.

        Raises:
            InputError: It does not fit; the message has both values.
        """
        own = checkpoint.get(KEY)
        if own is None or own["format"] > FORMAT:
            raise InputError("the checkpoint was not written by this version of aigc and cannot be resumed")
        saved = Order(**own["order"])
        loader = trainer.datamodule.train_dataloader()
        now = order_of(trainer, loader, batches_used(loader, trainer.limit_train_batches))
        position = Position(**own["position"])
        self._begin = moved(position, saved, now, self.allow)
        _move_last_step(trainer, own["step"], self._begin, now)
        place = None
        if now.batches is None and self._begin.batch:
            place = _mine(own, saved.world_size)["place"]
        elif now.batches is None and position.batch:
            log.warning("the stream cannot continue where it was: epoch %d starts from its first", self._begin.epoch)
        checkpoint["loops"] = loop_state(self._begin, checkpoint["loops"], now.resumable, place)
        self._checked = True

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Show the values recorded so far to callbacks: Lightning has forgotten those of a checkpoint."""
        assert isinstance(module, Task)
        module.show_to_callbacks(module.latest)

    def on_load_checkpoint(self, trainer: Trainer, module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore random generators, sums and metrics."""
        assert isinstance(module, Task)
        if not self._checked:
            raise _without_super(module, "on_load_checkpoint")
        own = checkpoint[KEY]
        saved = Order(**own["order"])
        rank, ranks = data_rank()
        mine = _mine(own, saved.world_size)
        longer = trainer.max_steps > own["step"] and "task_if_longer" in mine
        own |= own["metrics_if_longer"] if longer else {}
        module.load_training_state(mine["task_if_longer" if longer else "task"])
        if saved.world_size == ranks:
            self._to_restore = mine["random"]
        else:
            log.warning("number of ranks was %d and is %d: random generators are seeded again", saved.world_size, ranks)
            seed_everything(own["step"] * ranks + rank, verbose=False)
            module.forget_sums()
        rewind(trainer.loggers, own["metrics_bytes"], own.get("metrics_row", ""))
        for logger in metrics_files(trainer.loggers):
            logger.epoch = self._begin.epoch - (self._begin.batch == 0)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the random generators as late as possible; set the epoch of the metrics file and Lightning's step."""
        if self._to_restore is not None:
            restore_random_state(self._to_restore, trainer.strategy.root_device)
            self._to_restore = None
        for logger in metrics_files(trainer.loggers):
            logger.epoch = trainer.fit_loop.epoch_progress.current.processed
        # Lightning's callbacks log under this number, which it restores wrongly between two batches.
        loop = trainer.fit_loop.epoch_loop
        loop._batches_that_stepped = loop.total_batch_idx // trainer.accumulate_grad_batches

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Check that the task counts its steps."""
        assert isinstance(module, Task)
        if module.begun_batch != trainer.fit_loop.total_batch_idx:
            raise _without_super(module, "on_train_batch_start")

    def on_last_values(self, trainer: Trainer, module: Task) -> None:
        """Keep the state before values are recorded that are due only because the step is the last one.

        Called by each that asks whether to record, and the sums of a task may be complete only at the last call.
        """
        state, before = copy.deepcopy(module.training_state()), self._task_if_longer
        recorded = {name: before[name] for name in ("latest", "signatures", "recorded_at") if before}
        self._task_if_longer = state | recorded
        self._metrics_if_longer = self._metrics_if_longer or _metrics_position(trainer)

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Keep the random generators; check that training has not diverged."""
        assert isinstance(module, Task)
        self.on_evaluation_start(trainer, module)

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Check the task's own validation, before evaluations generate anything."""
        assert isinstance(module, Task)
        module.raise_if_diverged()

    def on_evaluation_start(self, trainer: Trainer, module: Task) -> None:
        """Keep the random generators; check that training has not diverged."""
        module.raise_if_diverged()
        self._before_evaluation = self._to_restore or random_state(trainer.strategy.root_device)

    def on_evaluation_end(self, trainer: Trainer, module: Task) -> None:
        """Restore the random generators."""
        if self._before_evaluation is not None:
            restore_random_state(self._before_evaluation, trainer.strategy.root_device)
            self._before_evaluation = None

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Check that training has not diverged: such weights are not a result."""
        assert isinstance(module, Task)
        module.raise_if_diverged()

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Restore the random generators; note the step, as each is validated once."""
        assert isinstance(module, Task)
        module.validated_at = module.steps_done
        self.on_evaluation_end(trainer, module)

    def _position(self, trainer: Trainer, order: Order) -> tuple[Position, Any]:
        """Compute the position from the batches trained on; what the loader has prepared ahead does not count.

        Returns:
            The position, and the stream position of a stream.
        """
        total = trainer.fit_loop.epoch_loop.batch_progress.total.completed
        done, processed, place = total - self._begin.total, trainer.fit_loop.epoch_progress.current.processed, None
        if order.batches is None:
            passed = trainer.train_dataloader.passed(done)
            epoch, batch_in_epoch, place = passed.epoch, passed.batch, passed.position
            if passed.ended and processed > epoch:
                epoch, batch_in_epoch, place = epoch + 1, 0, None
        else:
            epoch, batch_in_epoch = self._counted(done, order.batches, processed)
        first = self._begin if epoch == self._begin.epoch else Position(0, epoch, 0, 0)
        samples = (batch_in_epoch - first.batch) * (order.batch_size or 0) * order.world_size
        return Position(total, epoch, batch_in_epoch, first.sample + samples), place

    def _counted(self, done: int, batches: int, processed: int) -> tuple[int, int]:
        """Return the epoch and the batch in it, a number of batches after the start.

        Args:
            done: Batches since the start.
            batches: Batches in an epoch.
            processed: Epochs for whose end callbacks have been called.
        """
        batch = self._begin.batch + done
        epoch, batch_in_epoch = self._begin.epoch + batch // batches, batch % batches
        if batch_in_epoch == 0 and processed < epoch:
            return epoch - 1, batches  # validated before the epoch has been ended
        return epoch, batch_in_epoch


def _move_last_step(trainer: Trainer, step: int, begin: Position, now: Order) -> None:
    """Keep the number of epochs where another batch size changes their steps: the last step follows from it."""
    loop = trainer.fit_loop.epoch_loop
    epochs = trainer.max_epochs or 0
    if now.batches and epochs > 0 and loop.max_steps == epochs * now.batches // now.accumulate:
        left = (epochs - begin.epoch) * now.batches - begin.batch
        if left < 0:
            raise InputError(f"trainer.max_epochs={epochs}: step {step} of a later epoch is saved already; give more")
        loop.max_steps = step + left // now.accumulate


def _without_super(module: Task, hook: str) -> InputError:
    name = type(module).__name__
    return InputError(f"task: {name}.{hook} must call super().{hook}(...): otherwise the run could not be resumed")


def _mine(own: dict[str, Any], world_size: int) -> dict[str, Any]:
    """Return the state that the rank with the same batches saved, or the last rank if there were fewer."""
    saved: list[dict[str, Any]] = own["ranks"]
    return saved[min(data_rank()[0], world_size - 1) * (len(saved) // world_size)]


def _metrics_position(trainer: Trainer) -> dict[str, Any]:
    """Return where metrics.jsonl ends, and its last row apart, as the step may get more values."""
    size, row = max((logger.flush() for logger in metrics_files(trainer.loggers)), default=(0, ""))
    return {"metrics_bytes": size, "metrics_row": row}

"""One attempt at training: build the parts, go on from the newest checkpoint, leave model and scores."""

import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.callbacks import Checkpoints, ExactState, KeepStatus, StopWhenAsked
from aigc.errors import InputError
from aigc.launch import components
from aigc.launch.hardware import describe_machine
from aigc.launch.outcome import keep_model, keep_result
from aigc.logger import rewind
from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, step_of
from aigc.runs.console import log
from aigc.runs.files import retrying
from aigc.runs.heartbeat import Heartbeat
from aigc.tasks import Task


class Training:
    """Trains a run in this process, which is the only one or one of several ranks.

    Args:
        run: The run.
        cfg: Its config, with what this attempt changes.
        beat: Is told step and activity.
    """

    def __init__(self, run: Run, cfg: DictConfig, beat: Heartbeat):
        self.run = run
        self.cfg = cfg
        self.beat = beat

    def train(self, until: int | None = None) -> None:
        """Train to the end, or until a step; `until` leaves neither a validation of that step nor a model.

        Raises:
            AigcError: The run was stopped, has failed, or has no checkpoint that could be used.
        """
        began = time.perf_counter()
        run, cfg = self.run, self.cfg
        components.prepare_machine(cfg)
        data = components.build_data(cfg)
        task = components.build_task(cfg, data)
        # Measuring comes before saving, as what was measured chooses the best checkpoint.
        callbacks = components.build_callbacks(cfg, "evaluation", "callbacks")
        checkpoint, step = self._checkpoint()
        loggers = components.build_loggers(cfg, run, step)
        if checkpoint is None:
            rewind(loggers, 0)
        always = [KeepStatus(self.beat), ExactState(cfg.resume.allow), StopWhenAsked()]
        if until is not None:
            always.append(_Until(until))
        batches = len(data.train_dataloader())
        trainer = components.build_trainer(cfg, run.path, [*callbacks.values(), *always], loggers, batches)
        if trainer.is_global_zero:
            self._tell(trainer, task, step)
        with components.own_interrupt():
            try:
                trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
                if task.validated_at != task.steps_done and data.val_dataloader():
                    trainer.validate(task, datamodule=data, verbose=False)
            except _Reached:
                return
            except RuntimeError as error:
                if "loading state_dict" not in str(error):
                    raise
                raise InputError(f"the model of this config does not fit the checkpoint: {_first(error)}") from error
        self.beat.activity = "saving"
        for logger in loggers:
            logger.finalize("success")
        best = _best(callbacks)
        if best is not None and best["step"] != task.steps_done:
            _load_weights(trainer, task, run.checkpoints / "best.ckpt")
        if trainer.is_global_zero:
            keep_model(run, task, data)
            metrics, best_step = (best["metrics"], best["step"]) if best else (task.latest, None)
            seconds = time.perf_counter() - began
            retrying(
                lambda: keep_result(run, metrics, callbacks, best_step, seconds),
                f"write {run.path}/manifest.json",
            )

    def _checkpoint(self) -> tuple[Path | None, int]:
        """The checkpoint to go on from and its step."""
        folder = CheckpointFolder(self.run.checkpoints)
        folder.clean()
        path = folder.newest_whole()
        return path, step_of(path) if path else 0

    def _tell(self, trainer: Trainer, task: Task, step: int) -> None:
        with self.run.edit_manifest() as manifest:
            manifest.update(describe_machine())
            manifest["attempts"][-1]["from_step"] = step
            manifest["precision"] = str(trainer.precision)
        size = sum(p.numel() for p in task.parameters())
        log.info("%s", self.run.path)
        log.info(
            "%s parameters, %s steps, %s on %s",
            f"{size:,}",
            f"{trainer.max_steps:,}",
            trainer.precision,
            _device(trainer),
        )
        if step:
            log.info("going on from step %s", f"{step:,}")


class _Reached(Exception):
    """The step was reached that training was asked to end after."""


class _Until(Callback):
    """Ends training between two steps."""

    def __init__(self, step: int):
        self.step = step

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        self._end_after(trainer, module)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        self._end_after(trainer, module)

    def _end_after(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Task)
        if module.steps_done < self.step:
            return
        for callback in trainer.callbacks:
            if isinstance(callback, Checkpoints):
                callback.save(trainer, module)
        raise _Reached


def _best(callbacks: dict[str, Callback]) -> dict[str, Any] | None:
    return next((c.best for c in callbacks.values() if isinstance(c, Checkpoints) and c.best), None)


def _first(error: RuntimeError) -> str:
    """The first of the misfits that torch lists."""
    return str(error).partition("\n")[2].partition("\n")[0].strip() or str(error)


def _load_weights(trainer: Trainer, task: Task, path: Path) -> None:
    checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(path, map_location="cpu")
    task.load_state_dict(checkpoint["state_dict"])


def _device(trainer: Trainer) -> str:
    root = trainer.strategy.root_device
    return (
        torch.cuda.get_device_name(root) if root.type == "cuda" else f"{root.type} ({torch.get_num_threads()} threads)"
    )

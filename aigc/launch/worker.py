"""Works on one run folder: trains what its frozen config says, and leaves the model and the scores there.

`python -m aigc.launch.worker RUN_FOLDER` is what a launcher starts for each rank; one device needs no launcher.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.callbacks import Checkpoints, KeepStatus, StopOnSignal
from aigc.errors import AigcError, exit_code
from aigc.launch import components
from aigc.launch.hardware import describe_devices
from aigc.launch.outcome import keep_model, keep_result
from aigc.runs import Run
from aigc.runs.console import kept_in, log, show_messages
from aigc.runs.manifest import new_attempt
from aigc.runs.status import Status, utc_now, write_status
from aigc.tasks import Task

_STATUS = {3: Status.DIVERGED, 4: Status.OUT_OF_MEMORY, 75: Status.PREEMPTED, 130: Status.INTERRUPTED}


def work(run: Run) -> None:
    """Train a run to its end.

    Raises:
        AigcError: The run was stopped or failed; status.json and the manifest say how, as for any other exception.
    """
    with run.edit_manifest() as manifest:
        manifest["attempts"].append(new_attempt())
        manifest["hardware"] |= describe_devices()
    write_status(run.path, Status.RUNNING, step=0)
    reached = _Reached()
    code, message = 0, None
    try:
        with kept_in(run.log):
            _train(run, reached)
    except BaseException as error:
        code = exit_code(error)
        message = " ".join(str(error).split()) or type(error).__name__
        raise
    finally:
        status = _STATUS.get(code, Status.FAILED) if code else Status.FINISHED
        with run.edit_manifest() as manifest:
            end = {"end": utc_now(), "exit_code": code, "status": str(status), "to_step": reached.step}
            manifest["attempts"][-1] |= end
        write_status(run.path, status, step=reached.step, message=message)


def _train(run: Run, reached: "_Reached") -> None:
    began = time.perf_counter()
    cfg = run.config
    components.prepare_machine(cfg)
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    # Measuring comes before saving, as what was measured chooses the best checkpoint.
    callbacks = components.build_callbacks(cfg, "evaluation", "callbacks")
    loggers = components.build_loggers(cfg, run)
    always = [reached, KeepStatus(run), StopOnSignal()]
    batches = len(data.train_dataloader())
    trainer = components.build_trainer(cfg, run.path, [*callbacks.values(), *always], loggers, batches)
    run.update_manifest(precision=str(trainer.precision))
    size = sum(p.numel() for p in task.parameters())
    log.info("%s", run.path)
    log.info(
        "%s parameters, %s steps, %s on %s", f"{size:,}", f"{trainer.max_steps:,}", trainer.precision, _device(trainer)
    )
    with components.own_interrupt():
        trainer.fit(task, datamodule=data)
        if task.validated_at != task.steps_done and data.val_dataloader():
            trainer.validate(task, datamodule=data, verbose=False)
    for logger in loggers:
        logger.finalize("success")
    best = _best(callbacks)
    if best is not None and best["step"] != task.steps_done:
        _load_weights(trainer, task, run.checkpoints / "best.ckpt")
    keep_model(run, task, data)
    metrics, step = (best["metrics"], best["step"]) if best else (task.latest, None)
    keep_result(run, metrics, callbacks, step, time.perf_counter() - began)


class _Reached(Callback):
    """The step that training has reached, known also after an exception."""

    step = 0

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        assert isinstance(module, Task)
        self.step = module.steps_done


def _best(callbacks: dict[str, Callback]) -> dict[str, Any] | None:
    return next((c.best for c in callbacks.values() if isinstance(c, Checkpoints) and c.best), None)


def _load_weights(trainer: Trainer, task: Task, path: Path) -> None:
    checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(path, map_location="cpu")
    task.load_state_dict(checkpoint["state_dict"])


def _device(trainer: Trainer) -> str:
    root = trainer.strategy.root_device
    return (
        torch.cuda.get_device_name(root) if root.type == "cuda" else f"{root.type} ({torch.get_num_threads()} threads)"
    )


def main() -> int:
    """Work on the run folder named on the command line."""
    show_messages()
    try:
        work(Run.open(Path(sys.argv[1])))
    except (Exception, KeyboardInterrupt) as error:
        log.error("%s", error if isinstance(error, AigcError) else f"{type(error).__name__}: {error}")
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One attempt at training: build the components, resume from the newest checkpoint, save model and scores."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from aigc.callbacks import BetweenSteps, Checkpoints, Ending, Estimate, ExactState, KeepStatus, Monitored
from aigc.callbacks.stop_after import ReachedLastStep, StopAfter
from aigc.distributed.sharding import ShardedData
from aigc.distributed.strategies import share_batches
from aigc.errors import InputError
from aigc.launch import components
from aigc.launch.deep_check import check_optimizer
from aigc.launch.devices import own_device
from aigc.launch.hardware import describe_machine
from aigc.launch.length import described_length, length_dependent, no_step_taken, schedule_extends
from aigc.launch.ranks.group import Agreement
from aigc.launch.results import save_model_folder, save_result
from aigc.launch.trainer import batches_per_epoch, build_trainer, last_step, with_accumulation
from aigc.logger import rewind
from aigc.logger.lightning import log_config
from aigc.printing import plural
from aigc.runs import Run
from aigc.runs.checkpoints import CheckpointFolder, step_of
from aigc.runs.console import log
from aigc.runs.environment import source_digest
from aigc.runs.files import retrying
from aigc.runs.heartbeat import Heartbeat
from aigc.runs.manifest import Attempt, Result
from aigc.tasks import Task


class Training:
    """Trains a run in this process, which is the only one or one of several ranks.

    Args:
        run: The run.
        cfg: Its config, with what this attempt changes.
        beat: Receives the current step and activity.
        agreement: Shares the decisions of the first rank.
        data: The opened data; None opens them.
        was_finished: Whether the run was finished before, and is to take more steps.
    """

    def __init__(
        self,
        run: Run,
        cfg: DictConfig,
        beat: Heartbeat,
        agreement: Agreement,
        data: Any = None,
        was_finished: bool = False,
    ):
        self.run = run
        self.cfg = cfg
        self.beat = beat
        self.agreement = agreement
        self.data = data
        self.was_finished = was_finished

    def train(self, until: int | None = None) -> None:
        """Train to the end, or until a step; with `until`, that step is not validated and no model is saved.

        Raises:
            AigcError: The run was stopped or failed, or none of its checkpoints is usable.
        """
        began = time.perf_counter()
        run, cfg = self.run, self.cfg
        components.prepare_machine(cfg)
        share_batches(cfg.trainer.strategy, self.agreement.ranks.world_size, cfg.trainer.tensor_parallel_size)
        checkpoint, step = self._checkpoint()
        if checkpoint is None:
            check_optimizer(cfg, own_device(cfg, self.agreement.ranks.local_rank))
        data = components.build_data(cfg, checkpoint) if self.data is None else self.data
        cfg = with_accumulation(cfg, data, self.agreement.ranks)
        components.seed(cfg)  # initial weights must not depend on whether the data drew numbers in this process
        task = components.build_task(cfg, data)
        components.seed_by_data_rank(cfg)
        callbacks = components.build_callbacks(cfg, "evaluation", "callbacks")
        loggers = components.build_loggers(cfg, run, step)
        if checkpoint is None:
            written = run.path / "metrics.jsonl"
            if written.exists() and written.stat().st_size:
                log.warning("there is no checkpoint yet: starting from step 0 again")
            rewind(loggers, 0)
        # Callbacks that act at the start of a batch come after those that save and restore the state before it.
        savers = [callback for callback in callbacks.values() if isinstance(callback, Checkpoints)]
        for saver in savers:
            saver.earlier = self._earlier_result(step)
        first = [*savers, ExactState(cfg.resume.allow), BetweenSteps(), *([] if until is None else [StopAfter(until)])]
        first.append(_AfterCheck(lambda trainer, task: self._log_start(trainer, task, step)))
        others = [callback for callback in callbacks.values() if callback not in savers]
        limits = components.time_limit(cfg, others)
        ending = Ending(callbacks | limits)
        last = [*limits.values(), Monitored(callbacks), ending, KeepStatus(self.beat), Estimate()]
        batches = batches_per_epoch(data)
        steps = last_step(cfg.trainer, batches)
        trainer = build_trainer(
            cfg, run.path, [*first, *others, *last], loggers, batches, task.automatic_optimization, steps
        )
        if checkpoint is None:
            self._log_start(trainer, task, step)
        with components.reraise_interrupt():
            try:
                trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
                task.call_hook("on_fit_done")
                if task.validated_at != task.steps_done and task.has_validation(data):
                    trainer.validate(task, datamodule=data, verbose=False)
            except ReachedLastStep:
                return
            except (MisconfigurationException, ModuleNotFoundError) as error:  # as Lightning's callbacks check theirs
                raise InputError(" ".join(str(error).split())) from error
            except RuntimeError as error:
                if "loading state_dict" not in str(error):
                    raise
                raise InputError(
                    f"the model of this config does not fit the checkpoint: {_first_mismatch(error)}"
                ) from error
        self.beat.activity = "saving"
        for logger in loggers:
            logger.finalize("success")
        whole = self._full_task(trainer, task, data)
        if trainer.is_global_zero:
            for saver in savers:
                saver.warn_unless_measured(task)
            best = next((saver.best_whole(trainer, task) for saver in savers if saver.best), None)
            if best is not None and best["step"] != task.steps_done:
                _load_weights(trainer, whole, CheckpointFolder(run.checkpoints).file(best["step"]))
            save_model_folder(run, whole, data)
            metrics = best["metrics"] if best else task.latest
            signatures = best.get("signatures", task.signatures) if best else task.signatures
            result = Result(best_step=best["step"] if best else None, seconds=time.perf_counter() - began)
            if best is not None and all(best not in saver.ranking for saver in savers):
                result.earlier_end = True
                log.info("step %d, the end before more steps, is still the best: it stays the result", best["step"])
            retrying(
                lambda: save_result(run, metrics, signatures, callbacks, result),
                f"write {run.path}/manifest.json",
            )
            if self.was_finished and task.steps_done == step:
                raise no_step_taken(run, cfg, step, ending.reason() if step < trainer.max_steps else None)

    def _full_task(self, trainer: Trainer, task: Task, data: Any) -> Task:
        """Return the task with all weights; where they are sharded, only the first rank has them."""
        if not isinstance(trainer.strategy, ShardedData):
            return task
        weights = trainer.strategy.whole_weights()
        if not trainer.is_global_zero:
            return task
        whole = components.build_task(self.cfg, data)
        whole.load_state_dict(weights)
        return whole

    def _checkpoint(self) -> tuple[Path | None, int]:
        """Return the checkpoint to resume from and its step."""
        folder = CheckpointFolder(self.run.checkpoints)
        chosen = self.agreement.on("checkpoint", lambda: str(folder.begin() or ""))
        return (Path(chosen), step_of(Path(chosen))) if chosen else (None, 0)

    def _earlier_result(self, step: int) -> dict[str, Any] | None:
        """Return step, metrics and signatures of the result of a run that has finished before, on the same data."""
        record = self.run.record
        best = record.result.best_step if record.result else None
        if best is None or best > step or "data" in self.cfg.resume.allow:
            return None
        return {"step": best, "metrics": record.metrics, "signatures": record.signatures}

    def _log_change(self, attempts: list[Attempt]) -> None:
        """Record the machine and code of this attempt, and warn where they changed."""
        now = {"threads": torch.get_num_threads(), "device": _device(), "source_sha256": source_digest()}
        for name, value in now.items():
            before = next((known for a in reversed(attempts[:-1]) if (known := getattr(a, name))), value)
            if before != value:
                log.warning(
                    "%s was %s and is %s: last digits may differ from a run that was not stopped", name, before, value
                )
            setattr(attempts[-1], name, value)

    def _log_start(self, trainer: Trainer, task: Task, step: int) -> None:
        """Log and record the start of training, on the first rank."""
        if not trainer.is_global_zero:
            return
        with self.run.edit_manifest() as manifest:
            manifest.note_machine(str(trainer.precision), **describe_machine())
            self._log_change(manifest.attempts)
            manifest.attempts[-1].from_step = step
            # A finished run that takes more steps keeps its model and results until it has finished again.
            manifest.artifacts = {name: sha for name, sha in manifest.artifacts.items() if name.startswith("model/")}
        log_config(trainer.loggers, self.run.config)
        self.beat.step = step
        size = sum(p.numel() for p in task.parameters())
        log.info("%s", self.run.path)
        log.info(
            "%s, %s%s, %s on %s",
            plural(size, "parameter"),
            plural(trainer.max_steps, "step"),
            f" (at most {plural(trainer.max_epochs, 'epoch')})" if (trainer.max_epochs or 0) > 0 else "",
            trainer.precision,
            _device().replace("(1 threads)", "(1 thread)"),
        )
        if step:
            log.info("resuming from step %s", f"{step:,}")
            self._log_length()

    def _log_length(self) -> None:
        """Log what another number of steps changes: without it, the run equals one that asked for it at the start."""
        first, now = described_length(self.run.config), described_length(self.cfg)
        keys = length_dependent(self.run.config) if first != now else []
        if keys:
            continued = f"continued as for {now}" if schedule_extends(self.run.config) else "kept as it is"
            log.warning(
                "%s: made for %s, and %s; the result differs from that of a run with %s from the start",
                *(", ".join(keys), first, continued, now),
            )


class _AfterCheck(Callback):
    """Calls a function once the checkpoint has been checked, so that an error is the only message."""

    def __init__(self, then: Callable[[Trainer, Task], None]) -> None:
        self.then = then

    def on_checkpoint_read(self, trainer: Trainer, module: Task, checkpoint: dict[str, Any]) -> None:
        """Call the function; `ExactState` has checked the checkpoint before."""
        self.then(trainer, module)


def _first_mismatch(error: RuntimeError) -> str:
    """Return the first mismatch that torch lists."""
    return str(error).partition("\n")[2].partition("\n")[0].strip() or str(error)


def _load_weights(trainer: Trainer, task: Task, path: Path) -> None:
    checkpoint = trainer.strategy.checkpoint_io.load_checkpoint(path, map_location="cpu")
    task.load_checkpoint(checkpoint)


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"cpu ({torch.get_num_threads()} threads)"  # compared with what earlier versions have recorded

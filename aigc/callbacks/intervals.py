"""How often a run validates and evaluates, in optimiser steps."""

from pytorch_lightning import Trainer

from aigc.tasks import Task


def validation_interval(trainer: Trainer) -> int:
    """Return the steps between validations; those of the whole run where it validates at its end only."""
    batches, accumulated = int(trainer.val_check_interval), int(trainer.accumulate_grad_batches)
    return max(1, batches // accumulated)


def measuring_intervals(trainer: Trainer, module: Task) -> list[int]:
    """Return the intervals of the validation, if there is one, and of each evaluation that runs between steps."""
    intervals = [validation_interval(trainer)] if module.has_validation(getattr(trainer, "datamodule", None)) else []
    evaluations = [one for one in trainer.callbacks if getattr(one, "at_validation", True) is False]
    return intervals + [getattr(one, "every_n_steps", None) or trainer.max_steps for one in evaluations]

"""Validation on further sets of the data, after that on the validation part."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from torch.distributed import ReduceOp

from aigc.runs import stop

if TYPE_CHECKING:
    from aigc.tasks.language.base import LanguageTask


def validate_further(task: "LanguageTask") -> Iterator[tuple[str, dict[str, float]]]:
    """Validate on each further set with the steps of the task, and yield its name and its numbers; on all ranks.

    The sums of the task are those of the set while it is yielded. Each rank has as many batches as the others.
    """
    trainer = task.trainer
    sets = getattr(trainer.datamodule, "further_validation", None)
    for name, numbers, loader in sets() if sets else ():
        task.on_validation_epoch_start()
        limit = trainer.limit_val_batches
        count = int(len(loader) * limit) if isinstance(limit, float) else limit
        for index, batch in enumerate(islice(loader, count)):
            trainer.strategy.validation_step(trainer.strategy.batch_to_device(batch), index)
            if number := int(task.over_ranks(stop.asked() or 0, ReduceOp.MAX)):
                raise stop.ended_by(number, " while validating; the step is saved")
        yield name, numbers

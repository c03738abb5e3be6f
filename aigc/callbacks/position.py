"""The position of training in a checkpoint (epoch, batch, step), and the state of Lightning's loops for it."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from aigc.errors import InputError

ALLOWED = ("batch_size", "data", "world_size", "seed", "order", "precision")
"""What `resume.allow` may name."""


@dataclass(frozen=True)
class Order:
    """What the order of the batches depends on.

    Args:
        batches: Batches in an epoch; None for a stream, which has a stream position.
        accumulate: Batches in an optimiser step.
        length: Samples; None if the loader cannot continue within an epoch, as for the next five.
        batch_size: Samples in a batch of one rank.
        world_size: Number of ranks that have batches of their own.
        seed: Seed of the order.
        shuffle: Whether the order is random.
        fingerprint: Hash of the data's content, when it is known.
        precision: Number format of the computation; not a part of the order, but it must stay the same, too.
        together: Ranks that compute each batch together; the same holds. None in checkpoints of an earlier version.
        grouped: Whether samples of similar lengths share a batch, so that the order depends on the batch size, too.
    """

    batches: int | None
    accumulate: int
    length: int | None = None
    batch_size: int | None = None
    world_size: int = 1
    seed: int | None = None
    shuffle: bool = True
    fingerprint: str | None = None
    precision: str | None = None
    together: int | None = None
    grouped: bool = False

    @property
    def resumable(self) -> bool:
        """Whether the loader can continue within an epoch."""
        return self.length is not None or self.batches is None


@dataclass(frozen=True)
class Position:
    """The progress of training.

    Args:
        total: Batches over all epochs.
        epoch: The epoch that is running.
        batch: Batches of it that are done; all of them until callbacks have been called for its end.
        sample: Samples of it that are done, of all ranks.
    """

    total: int
    epoch: int
    batch: int
    sample: int


def moved(position: Position, saved: Order, now: Order, allow: Collection[str]) -> Position:
    """Compute where a run continues whose data, batch size or number of ranks may have changed.

    With another batch size or number of ranks, training continues at the same sample of the same order, and an epoch
    ends when the samples left do not fill an optimiser step. With other data, another seed, or a loader that can only
    start at the beginning, the rest of the interrupted epoch is left out. A stream continues at the same row with
    another batch size; with another number of ranks it starts the epoch again. Samples that are grouped by length have
    another order with another batch size or number of ranks, so that the rest of the epoch is left out as well.

    Args:
        position: From the checkpoint.
        saved: From the checkpoint.
        now: As it is now.
        allow: Differences that are allowed, of `ALLOWED`.

    Raises:
        InputError: Something differs that was not allowed; the message has both values and what is allowed.
    """
    refused = [(name, what) for name, what in _differences(saved, now) if name not in allow]
    if not now.resumable and "order" not in allow:
        what = "the training loader cannot continue within an epoch (an aigc.data.loader.EpochLoader can)"
        refused.append(("order", what))
    if refused:
        whats = "; ".join(what for _, what in refused)
        names = ",".join(dict.fromkeys(name for name, _ in refused))
        raise InputError(
            f"the checkpoint does not fit: {whats}. The same data and settings resume exactly; "
            f"to resume all the same: resume.allow=[{names}]"
        )
    total = position.total
    if saved.accumulate != now.accumulate:
        total = position.total // saved.accumulate * now.accumulate
    other_data = any(name in ("data", "seed") for name, _ in _differences(saved, now))
    together = [(order.batch_size or 0) * order.world_size for order in (saved, now)]
    regrouped = now.grouped and together[0] != together[1]
    if other_data or regrouped or not now.resumable:
        return Position(total, position.epoch + (position.batch > 0), 0, 0)
    if now.batches is None:
        if saved.world_size != now.world_size:
            return Position(total, position.epoch, 0, 0)
        return replace(position, total=total, batch=position.batch // saved.accumulate * now.accumulate)
    no_order = {name: getattr(now, name) for name in ("shuffle", "batches", "precision", "together")}
    if replace(saved, **no_order) == now:
        return replace(position, total=total)
    assert now.length is not None
    assert now.batch_size is not None
    left = (now.length - position.sample) // (now.batch_size * now.world_size)
    batch = now.batches - min(left, now.batches) // now.accumulate * now.accumulate
    if batch >= now.batches:
        return Position(total, position.epoch + 1, 0, 0)
    return Position(total, position.epoch, batch, position.sample)


def _differences(saved: Order, now: Order) -> list[tuple[str, str]]:
    """Return the kinds of difference, and both values in words."""
    found = []
    for name, key, words in (
        ("batch_size", "batch_size", "batch size"),
        ("batch_size", "accumulate", "batches per optimiser step"),
        ("batch_size", "batches", "batches per epoch"),
        ("world_size", "world_size", "number of ranks"),
        ("world_size", "together", "number of ranks that compute each batch together"),
        ("data", "length", "number of training samples"),
        ("data", "fingerprint", "data fingerprint"),
        ("seed", "seed", "seed of the data's order"),
        ("seed", "shuffle", "shuffling"),
        ("seed", "grouped", "grouping by length"),
        ("precision", "precision", "precision"),
    ):
        before, after = getattr(saved, key), getattr(now, key)
        if before != after and None not in (before, after):
            found.append((name, f"{words} was {_shown(before)} and is {_shown(after)}"))
    # Other batches per epoch follow from another batch size, number of ranks or length; alone they are a limit.
    causes = {name for name, what in found if not what.startswith("batches per epoch")}
    return [(name, what) for name, what in found if not (what.startswith("batches per epoch") and causes)]


def _shown(value: Any) -> str:
    return value[:16] if isinstance(value, str) else str(value)


def loop_state(position: Position, loops: dict[str, Any], resumable: bool = True, place: Any = None) -> dict[str, Any]:
    """Return the state of Lightning's loops for a run between two batches.

    Lightning saves its counters as they are in the hook that saves, and guesses from them on restart where that was.
    This state is unambiguous: the batches so far are complete, the next has not started, and a validation that is due
    after them has yet to be run.

    Args:
        position: The position of training.
        loops: Lightning's own state; the counters of optimisers and schedulers in it are kept.
        resumable: Whether the loader can continue within an epoch.
        place: The stream position of a stream.
    """
    fit = dict(loops["fit_loop"])
    epoch = {"ready": position.epoch + 1, "started": position.epoch + 1}
    epoch |= {"processed": position.epoch, "completed": position.epoch}
    fit["epoch_progress"] = {"total": epoch, "current": dict(epoch)}
    fit["epoch_loop.batch_progress"] = {
        "total": dict.fromkeys(("ready", "started", "processed", "completed"), position.total),
        "current": dict.fromkeys(("ready", "started", "processed", "completed"), position.batch),
        "is_last_batch": False,
    }
    begun = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    fit["epoch_loop.val_loop.batch_progress"] = {"total": begun, "current": dict(begun), "is_last_batch": False}
    begin = {"epoch": position.epoch, "batch": position.batch, "sample": position.sample}
    begin |= {} if place is None else {"place": place}
    fit["state_dict"] = {"combined_loader": [begin]} if resumable else {}
    if position.batch == 0:  # Lightning resets these with an epoch, but not when it resumes at the start of one
        for name in (
            "scheduler_progress",
            "automatic_optimization.optim_progress",
        ):
            if f"epoch_loop.{name}" in fit:
                fit[f"epoch_loop.{name}"] = _from_zero(fit[f"epoch_loop.{name}"])
    return {**loops, "fit_loop": fit}


def _from_zero(progress: dict[str, Any]) -> dict[str, Any]:
    """Return the progress with nothing done in the current epoch."""
    if "current" in progress:
        return {**progress, "current": dict.fromkeys(progress["current"], 0)}
    return {key: _from_zero(value) if isinstance(value, dict) else value for key, value in progress.items()}

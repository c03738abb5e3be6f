"""A loader for streams: it has no length but a position, and its epochs end on all ranks at the same step."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset

from aigc.data.loader import unbatched
from aigc.data.workers import leave_signals_alone
from aigc.distributed.collectives import all_true
from aigc.distributed.data_rank import data_rank
from aigc.errors import AigcError, InputError
from aigc.printing import plural
from aigc.runs.console import log

_KEPT = 8
"""Batches whose positions are remembered; Lightning asks for one batch in advance."""

Batches = Callable[[int, Any], Iterator[tuple[Any, Any]]]
"""Batches of an epoch from a position on (None: its start), each with the position after it."""


@dataclass(frozen=True)
class Passed:
    """How far a loader has come.

    Attributes:
        epoch: The epoch.
        batch: Batches of it that are done.
        position: Where the stream resumes, in plain containers.
        ended: Whether that was the last batch of the epoch.
    """

    epoch: int
    batch: int
    position: Any
    ended: bool = False


class StreamLoader:
    """Batches of a stream, of which nobody knows how many there are.

    All ranks end an epoch together, when the first has no whole optimiser step left. Each batch carries its position
    in the stream, so that what was read in advance does not count: see `passed`.

    Args:
        batches: Gives the batches of an epoch.
        order: What the order depends on besides the number of ranks, as `aigc.callbacks.position.Order` names it.
        group: Batches in an optimiser step.
        limit: Most batches in an epoch; None is all.
        ahead: Whether a process beside this one reads, tokenises and packs.
        name: The name of the stream in messages.
        dealing: How its documents come to the ranks, in words.
    """

    def __init__(
        self,
        batches: Batches,
        order: dict[str, Any],
        group: int = 1,
        limit: int | None = None,
        ahead: bool = False,
        name: str = "the stream",
        dealing: str = "one rank reads all",
    ) -> None:
        self.batches = batches
        self.order = order
        self.group = group
        self.limit = limit
        self.ahead = ahead
        self.name = name
        self.dealing = dealing
        self.epoch = 0
        self._begin = Passed(0, 0, None)
        self._passed: deque[Passed] = deque(maxlen=_KEPT)
        self._count = 0

    @property
    def sampler(self) -> "StreamLoader":
        """Lightning calls `set_epoch` of this object."""
        return self

    def log_dealing(self) -> None:
        """Log what should be known of it before a run."""
        log.info(
            "streaming %s: %s; its length is not known, so trainer.max_steps ends training", self.name, self.dealing
        )
        log.info(
            "a resumed run continues with the next document, exactly; on another number of ranks it starts the epoch "
            "again, and only with resume.allow=[world_size]"
        )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration."""
        self.epoch = epoch

    def state_dict(self) -> dict[str, Any]:
        """What the order of the batches depends on."""
        return {**self.order, "world_size": data_rank()[1]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Begin in `state["epoch"]`, after `state["batch"]` batches of it, at the position `state["place"]`."""
        self.epoch = state["epoch"]
        self._begin = Passed(state["epoch"], state["batch"], state.get("place"))

    def passed(self, batches: int) -> Passed:
        """Return the position after a number of batches of this process.

        Raises:
            RuntimeError: That is longer ago than anyone should ask for.
        """
        if batches == 0:
            return self._begin
        index = batches - 1 - (self._count - len(self._passed))
        if not 0 <= index < len(self._passed):
            raise RuntimeError(f"the position after batch {batches} is no longer known ({self._count} were read)")
        return self._passed[index]

    def __iter__(self) -> Iterator[Any]:
        begin = self._begin if self._begin.epoch == self.epoch else Passed(self.epoch, 0, None)
        source = self._open(begin)
        done, full = begin.batch, True
        try:
            while self.limit is None or done < self.limit:
                group = list(islice(source, self.group))
                full = len(group) == self.group
                if not all_true(full):
                    break
                for batch, position in group:
                    done += 1
                    self._passed.append(Passed(begin.epoch, done, position, done == self.limit))
                    self._count += 1
                    yield batch
            else:
                full = False
            self._end(begin, done, full and len(list(islice(source, self.group))) == self.group)
        finally:
            source.close()

    def _end(self, begin: Passed, done: int, left_out: bool) -> None:
        """Record that the epoch has ended; one without a step would start again forever."""
        if done == 0:
            size = self.order.get("batch_size")
            raise InputError(
                f"{self.name} gives a rank fewer than {plural(self.group, 'batch')} of size {size} in "
                "an epoch. Lower "
                "data.batch_size, data.sequence_length or trainer.accumulate_grad_batches, or give more text."
            )
        if left_out:
            log.warning(
                "%s: epoch %d ends at batch %d, where another rank has no more; documents of this one's shards are "
                "left out. Shards of like sizes lose less",
                self.name,
                begin.epoch,
                done,
            )
        if done == begin.batch and self._begin.epoch == begin.epoch:
            self._begin = replace(self._begin, ended=True)
        elif self._passed:
            self._passed[-1] = replace(self._passed[-1], ended=True)

    def _open(self, begin: Passed) -> Any:
        """The batches from there on, made here or in a process beside this one."""
        if not self.ahead:
            return self.batches(begin.epoch, begin.position)
        return self._from_worker(begin)

    def _from_worker(self, begin: Passed) -> Iterator[tuple[Any, Any]]:
        loader = DataLoader(
            _Reader(self.batches, begin),
            batch_size=None,
            num_workers=1,
            collate_fn=unbatched,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=leave_signals_alone,
            # Without a generator of its own, each iter() of the loader would draw from the global one.
            generator=torch.Generator().manual_seed(0),
        )
        for made in loader:
            if isinstance(made, AigcError):
                raise made
            yield made


class _Reader(IterableDataset[Any]):
    """Gives the batches in a worker, and errors as they are: torch would wrap them into a traceback."""

    def __init__(self, batches: Batches, begin: Passed) -> None:
        self.batches = batches
        self.begin = begin

    def __iter__(self) -> Iterator[Any]:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads did not survive the fork
        try:
            yield from self.batches(self.begin.epoch, self.begin.position)
        except AigcError as error:
            yield error

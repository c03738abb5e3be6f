"""The base of all data modules: data prepared once, and training batches in an order of seed and epoch."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pytorch_lightning import LightningDataModule
from torch.utils.data import Dataset

from aigc.data.loader import EpochLoader, training_loader, unbatched
from aigc.data.preview import Description, Sample
from aigc.errors import InputError


class Entry(Protocol):
    """An entry of the cache."""

    @property
    def info(self) -> dict[str, Any]:
        """Numbers of the data, and their `fingerprint`."""


Prepared = TypeVar("Prepared", bound=Entry)


class PreparedData(LightningDataModule, ABC, Generic[Prepared]):
    """Data that are prepared once, kept in a cache, and opened by every process.

    Attributes:
        only_validation: Set before the data are prepared where a model is measured and not trained: data whose
            validation part can be prepared alone then leave out the rest.
        split_by: A class attribute with the parameters that decide which part is held out, besides the data themselves.

    Args:
        path: Where the data are.
        batch_size: Samples in a batch.
        shuffle: Whether the samples come in random order; otherwise in that of the data, the same in each epoch.
        num_workers: Processes that build batches beside the training process; 0 builds them in it.
        seed: Decides, together with the epoch, in which order the samples come.
        cache: Folder where prepared data are kept and found again.

    Raises:
        InputError: An argument is out of its range.
    """

    def __init__(self, path: str, batch_size: int, shuffle: bool, num_workers: int, seed: int, cache: str) -> None:
        super().__init__()
        if not path.strip():
            raise InputError("the path is empty; name a file, a folder, or other data")
        check_minimum("batch_size", batch_size, 1)
        check_minimum("num_workers", num_workers, 0)
        check_minimum("seed", seed, 0)
        self.path = path
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.num_workers = num_workers
        self.seed = seed
        self.cache = Path(cache).expanduser()
        self.only_validation = False
        self._prepared: Prepared | None = None

    @abstractmethod
    def _prepare(self) -> Prepared:
        """Find the prepared data in the cache or make them, and check that they fill a batch."""

    def prepare_data(self) -> None:
        """Find the prepared data in the cache or make them; a second call does nothing.

        Raises:
            InputError: The data cannot be used, or are fewer than one batch.
        """
        if self._prepared is None:
            self._prepared = self._prepare()

    def setup(self, stage: str | None = None) -> None:
        """Open the prepared data; every process does this."""
        self.prepare_data()

    @property
    def prepared(self) -> Prepared:
        """The entry in the cache.

        Raises:
            RuntimeError: `prepare_data` or `setup` was not called.
        """
        if self._prepared is None:
            raise RuntimeError("Call prepare_data() or setup() before using the data.")
        return self._prepared

    @property
    def info(self) -> dict[str, Any]:
        """Numbers of the data, among them `fingerprint`, and one section for each split."""
        return self.prepared.info

    def describe(self) -> Description:
        """Return what the data are; a class may know more than the numbers in `info`."""
        parts = {name: part for name, part in self.info.items() if isinstance(part, Mapping)}
        splits = {name: part for name in ("train", "validation") if any((part := parts.get(name, {})).values())}
        return Description({"path": self.path} | {n: v for n, v in self.info.items() if n not in parts}, splits)

    def samples(self, split: str, count: int) -> Iterable[Sample]:
        """Return the first samples of a split as a model sees them; none of data that are not shown as text."""
        return ()

    def save_beside_model(self, folder: Path) -> None:
        """Write what the model needs besides its weights, such as a tokenizer, into its folder; nothing by default."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content of the data."""
        return str(self.info["fingerprint"])

    def _training_loader(
        self, dataset: Dataset[Any], batch_size: int | None = None, lengths: NDArray[np.int64] | None = None
    ) -> EpochLoader:
        """Full batches of a data set that builds whole ones; what fills none is left out, others in each epoch.

        Args:
            dataset: Its samples are asked for by `(epoch, index)`.
            batch_size: Samples in a batch; None is `self.batch_size`.
            lengths: The length of each sample, to put samples of similar lengths into a batch.
        """
        return training_loader(
            dataset,
            batch_size or self.batch_size,
            self.seed,
            shuffle=self.shuffle,
            num_workers=self.num_workers,
            tell_epoch=True,
            collate=unbatched,
            fingerprint=self.fingerprint,
            lengths=lengths,
        )


def check_minimum(name: str, value: int, least: int) -> None:
    """Check that a number of the config is large enough.

    Raises:
        InputError: It is smaller; the message names the key.
    """
    if value < least:
        raise InputError(f"data.{name} is {value}; allowed: at least {least}.")

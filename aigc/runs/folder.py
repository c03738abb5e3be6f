"""The run folder: created before a run starts, read by all other commands."""

import fcntl
import importlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.errors import InputError, RunInUse
from aigc.files.secrets import redact, redact_yaml
from aigc.runs import metrics_file
from aigc.runs.files import sha256_file, sync_folder, write_atomic
from aigc.runs.git import code_patch
from aigc.runs.locate import CONFIG_FILE, find_run, run_folders, runs_root
from aigc.runs.manifest import Manifest, edit_manifest, read_manifest, read_record, write_manifest
from aigc.runs.origin import new_manifest
from aigc.runs.reserve import reserve
from aigc.runs.status import Status, read_status, write_status

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig


MODEL_CLASS_FILE = "aigc.json"
"""The file in model/ that names the class of the saved model."""


def write_model_notes(folder: Path, notes: Mapping[str, Any]) -> None:
    """Write what opens a model in a folder as its run: the class of the saved model, and what its data say of it."""
    (folder / MODEL_CLASS_FILE).write_text(json.dumps(notes, ensure_ascii=False) + "\n", encoding="utf-8")


class Run:
    """One training of one resolved config, accessed through its folder.

    Args:
        path: The run folder; use `Run.open` to find one by name and `Run.create` to make one.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        root: Path | str,
        name: str,
        config_yaml: str,
        overrides: Sequence[str] = (),
        command: Sequence[str] | None = None,
        seed: int | None = None,
        data_fingerprint: str | None = None,
        run_id: str | None = None,
        **notes: Any,
    ) -> "Run":
        """Create the folder of a new run atomically, with all its files.

        Args:
            root: The folder of all runs; created if missing.
            name: The experiment, such as `lm/tiny`; the run id is `lm-tiny-<yyyymmdd>-<hhmmss>-<4 hex>`, local time.
            config_yaml: The resolved config as YAML; secrets in it are replaced.
            overrides: What was typed, one override each.
            command: The command line; None means that of this process.
            seed: The seed of the run.
            data_fingerprint: SHA-256 of the content of the data, if known.
            run_id: The name of the folder; None makes one from the experiment, the time and random digits.
            notes: More fields of `Manifest`, by name.

        Raises:
            InputError: The folder exists or cannot be created; the message names it and the reason.
        """
        root = Path(root)
        try:
            root.mkdir(parents=True, exist_ok=True)
            temporary, final = reserve(root, name, run_id)
            try:
                write_atomic(temporary / CONFIG_FILE, redact_yaml(config_yaml))
                write_atomic(temporary / "overrides.txt", "".join(redact(line) + "\n" for line in overrides))
                if patch := code_patch(Path.cwd(), ignore=root):
                    write_atomic(temporary / "code.patch", patch)
                command = list(sys.argv if command is None else command)
                manifest = new_manifest(
                    final.name,
                    command=command,
                    seed=seed,
                    data_fingerprint=data_fingerprint,
                    ignore=root,
                    config_sha256=sha256_file(temporary / CONFIG_FILE),
                )
                write_manifest(temporary, replace(manifest, **notes))
                write_status(temporary, Status.PENDING, pid=0)
                temporary.rename(final)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            sync_folder(root)
        except OSError as error:
            raise InputError(
                f"cannot create a run folder in {root}: {error.strerror or error}. "
                "Set AIGC_OUTPUTS to a writable folder."
            ) from error
        return cls(final)

    @classmethod
    def open(cls, name: str | Path, root: Path | str | None = None) -> "Run":
        """Open a run by its id, a unique prefix, its path, or `latest`.

        Args:
            name: What a person typed; a `Path` is always taken as a path.
            root: The folder of all runs; None means $AIGC_OUTPUTS/runs, or outputs/runs.

        Raises:
            InputError: No run has that name (the message suggests the nearest), several match, or it is not a run.
        """
        return cls(find_run(name, None if root is None else Path(root)))

    @property
    def id(self) -> str:
        """The run id, which is the name of the folder."""
        return self.path.absolute().name

    @cached_property
    def config(self) -> "DictConfig":
        """The resolved config, with `${oc.env:...}` as interpolations; raises InputError when the file is damaged."""
        from aigc.config.earlier import update_frozen
        from aigc.config.interpolations import oversized
        from aigc.config.yaml_files import read_yaml

        path = self.path / CONFIG_FILE
        try:
            config = read_yaml(path).config()
        except InputError as error:
            raise InputError(f"{path} cannot be read: {error}. The run folder is damaged.") from error
        if not config:
            raise InputError(f"{path} is not a mapping with keys. The run folder is damaged.")
        if found := oversized(config):
            raise InputError(f"{path}: {': '.join(found)}. The run folder is damaged.")
        update_frozen(config)
        return config

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest on disk; to change it, use `edit_manifest`."""
        return read_manifest(self.path)

    @property
    def record(self) -> Manifest:
        """The manifest on disk with named fields; entries that an older run lacks have their defaults."""
        return read_record(self.path)

    def edit_manifest(self) -> AbstractContextManager[Manifest]:
        """Return a context that yields the manifest for changes and writes it at the end, under a lock."""
        return edit_manifest(self.path)

    @property
    def status(self) -> Status:
        """What the run does now, or how it ended; `aigc.runs.status.read_status` has the details."""
        return read_status(self.path).status

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the run for this process; the system releases it however the process ends.

        Raises:
            RunInUse: Another process works on it.
        """
        with (self.path / ".lock").open("a+") as lock:
            try:
                # Not flock, which forked data workers would inherit: they outlive a killed process by seconds.
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                record = read_status(self.path)
                raise RunInUse(
                    f"run {self.id} is in use by process {record.pid} on {record.host}: wait for it, or stop it"
                ) from error
            yield

    def metrics(self) -> "pd.DataFrame":
        """Return one row per logged step: columns step, epoch, wall_time (seconds since 1970), then the metrics."""
        import pandas as pd

        rows = metrics_file.read(self.path / "metrics.jsonl")
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(metrics_file.FIXED_COLUMNS))

    def load_model(self, trust: Sequence[str] = ()) -> tuple[Any, Any]:
        """Load the run's model from model/, on the CPU and in evaluation mode.

        Args:
            trust: Your own packages whose classes the run names, as `--trust` does on the command line.

        Returns:
            The model and its companion: the tokenizer of a language model, the class names of a generator.

        Raises:
            InputError: The run has no model yet, its model is damaged, or it names a class of another package.
        """
        from aigc.config import trust as trusted

        trusted.trust(list(trust))
        # By name, as kinds of models lie above runs and are imported only when a model is loaded.
        find = importlib.import_module("aigc.inference.find")
        with trusted.asked_for('pass trust=["{}"] to load_model,'):
            model: tuple[Any, Any] = find.saved_model(self).load()
        return model

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints to resume from."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """The folder of samples generated during training."""
        return self.path / "samples"

    @property
    def model(self) -> Path:
        """The folder of the model that other tools load."""
        return self.path / "model"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.path / "log.txt"


def list_runs(root: Path | str | None = None) -> list[Run]:
    """Return the runs in a folder, newest first, including damaged ones, which `aigc.runs.table.summary` marks.

    Args:
        root: The folder of all runs, or the folder of outputs with `runs` in it; None means $AIGC_OUTPUTS/runs, or
            outputs/runs.
    """
    return [Run(folder) for folder in run_folders(runs_root(root))]

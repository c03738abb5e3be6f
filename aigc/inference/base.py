"""What can be done with a run's model, whatever kind of model it is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from aigc.errors import InputError
from aigc.runs import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from aigc.inference.parts.chat_session import ChatSession

SAFETENSORS = "safetensors"
"""The export format of every kind: weights and what rebuilds the model."""


@dataclass(frozen=True)
class Request:
    """What `aigc generate` is asked for."""

    keys: Any
    """An object of the kind's `keys`."""
    prompts_file: str | None = None
    """Value of `--prompts`."""
    read_prompts: Callable[[], list[str]] = list
    """Reads the lines of `prompts_file`, or of stdin where no file is named; empty where there are none."""
    rows_file: str | None = None
    """Value of `--file`."""
    read_rows: Callable[[], list[dict[str, Any]]] = list
    """Reads the objects of `rows_file`."""
    out: str | None = None
    """Value of `--out`."""
    force: bool = False
    """Whether files that exist are replaced."""


class Generated(NamedTuple):
    """One result: what a person reads, and what a script reads."""

    line: str
    record: Mapping[str, Any]


class Comparison(NamedTuple):
    """The outputs of a model that was written and loaded again, compared with those of the original."""

    what: str
    """Outputs of which inputs, as `logits of 32 fixed tokens`."""
    difference: float
    """The largest one."""
    allowed: float
    note: str = ""
    """What else is to be said of it."""


class SavedModel(ABC):
    """A run's model and what can be done with it; one subclass for each kind of model.

    A task names its subclass in `Task.saved_model`, and model/aigc.json of a run remembers it. A subclass is a file of
    its own in `aigc.inference` or in a person's package. The files in `aigc.inference` import nothing heavy at their
    top, as `aigc generate --help` imports them all.

    Args:
        run: The run.
    """

    makes: ClassVar[str]
    """What it makes, in the plural, for messages: `texts`."""
    keys: ClassVar[type]
    """Dataclass of the keys that `aigc generate` takes; the docstrings of its fields are their help."""
    usage: ClassVar[str] = ""
    """How `aigc generate` takes input and gives output, for its help."""
    options: ClassVar[Mapping[str, str]] = {}
    """Options that `aigc generate` takes for it (`prompts`, `file`, `out`, `force`), each with its help."""
    formats: ClassVar[Mapping[str, str]]
    """Names of its export formats, each with what reads it."""
    always_exported: ClassVar[Sequence[str]] = ()
    """Names of files that every format writes: where one is in the way, nothing is loaded."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @abstractmethod
    def load(self) -> tuple[Any, Any]:
        """Load the model from model/, on the CPU and in evaluation mode, and what belongs to it (a tokenizer, say).

        Raises:
            InputError: There is no model yet, or it is damaged.
        """

    @abstractmethod
    def generate(self, request: Request) -> Iterator[Generated]:
        """Make what the model makes.

        Raises:
            InputError: The request is wrong or does not fit the model, or a file cannot be written.
        """

    @abstractmethod
    def export(self, form: str, folder: Path, checkpoint: str | None) -> Comparison:
        """Write the model into an empty folder, load it again and compare.

        Args:
            form: One of `formats`.
            folder: Where.
            checkpoint: last, best or step-N; None takes what is in model/.

        Raises:
            InputError: There is no such checkpoint, or it is damaged, or a package is not installed.
            AigcError: The format cannot express the model.
        """

    def measure(self, cfg: "DictConfig", overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        """Run the evaluation of a config on the model.

        Args:
            cfg: The run's config, or one that differs in data, evaluation or trainer.
            overrides: What differs, for evaluations.jsonl.

        Returns:
            Names and values as training records them, and how they were made, by the same names.

        Raises:
            InputError: The model cannot be measured in this way, or the data cannot be used.
        """
        raise InputError(f"{self.run.id} makes {self.makes}, which `aigc eval` does not measure")

    def chat(self) -> "ChatSession":
        """Load the model and begin a conversation.

        Raises:
            InputError: The model cannot talk, or as `load`.
        """
        raise InputError(f"{self.run.id} makes {self.makes}; `aigc chat` talks with causal language models")

    def adapt_data(self, cfg: "DictConfig") -> None:  # noqa: B027
        """Make a config prepare data as the model reads them, such as with its own tokenizer."""

    def check_options(self, given: Sequence[str]) -> None:
        """Check that the model takes these options of `aigc generate`.

        Raises:
            InputError: It does not take one of them.
        """
        for option in given:
            if option not in self.options:
                taken = " and ".join(f"--{name}" for name in sorted(self.options)) or "neither files nor prompts"
                raise InputError(f"--{option} is not for {self.makes}, which {self.run.id} makes; it takes {taken}")

    def check_format(self, form: str) -> None:
        """Check that the model can be exported in this format.

        Raises:
            InputError: It cannot.
        """
        if form not in self.formats:
            raise InputError(
                f"--format {form} is not for a model that makes {self.makes}, as {self.run.id} does; "
                f"allowed: {', '.join(self.formats)}"
            )

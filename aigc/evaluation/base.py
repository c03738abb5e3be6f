"""The base class of evaluations: what they measure, when, under which names, and what they refuse."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pytorch_lightning import Callback, LightningModule, Trainer

from aigc.config import build
from aigc.errors import InputError
from aigc.evaluation.score_names import ScoreNames
from aigc.runs.console import log
from aigc.tasks import Task


class Evaluation(Callback, ABC):
    """A callback that measures what the model of a task generates, and saves samples of it.

    A subclass names the tasks that it can measure, builds what its parameters describe in `prepare`, and generates and
    records in `evaluate`. By default it runs at each validation; one that sets `at_validation` to false runs between
    two steps instead: before the first one (`at_start`), every `every_n_steps`, and after the last one. Scores are
    recorded under the names of `ScoreNames`. The first evaluation of a run saves samples in samples/, any other in
    samples/<evaluation>/.

    Args:
        metrics: Named `_target_` nodes; null switches one off.
        samples: How many samples are measured.
        every_n_steps: Steps between evaluations; null evaluates at the end only.
        at_start: Also evaluate before the first step.
    """

    measure_class: ClassVar[type]
    """The base class of its metrics."""
    expects: ClassVar[type[Task]] = Task
    """The tasks that it can measure, if `can_measure` asks for nothing more."""
    measures: ClassVar[str] = ""
    """What it measures, where `can_measure` asks for more than a class; for messages."""
    needs: ClassVar[Mapping[str, type]] = {}
    """Attributes that the data module must have, and their types."""
    at_validation: ClassVar[bool] = True
    fewest_samples: ClassVar[int] = 1

    def __init__(
        self,
        metrics: Mapping[str, Any] | None = None,
        samples: int = 1,
        every_n_steps: int | None = None,
        at_start: bool = False,
    ):
        self.key = "evaluation"
        """Its key in the config, for messages."""
        self.samples = samples
        self.every_n_steps = every_n_steps
        self.at_start = at_start
        self.metrics: dict[str, Any] = {}
        """The metrics by the name of their node."""
        self._nodes = dict(metrics or {})
        self._wanted = samples
        self._bound = False
        self._done_at = -1
        self._scores: set[str] = set()
        """The scores that the metrics declare."""
        self._names = ScoreNames()
        self._first = True

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rpartition(".")[2]

    @property
    def state_key(self) -> str:
        """The key in the config, as several evaluations of one class may have a state."""
        return self.key

    def bind(self, key: str, limit: int | None = None) -> Self:
        """Set the config key and build what the parameters describe.

        Args:
            key: Such as `evaluation.generation`.
            limit: The largest number of samples; None sets no limit.

        Raises:
            InputError: A metric cannot be built, or two give one score; the message names the key.
        """
        self.key, self._bound = key, True
        if limit is not None:
            self.samples = min(self.samples, max(limit, self.fewest_samples))
        chosen = {name: node for name, node in self._nodes.items() if node is not None}
        self.metrics = {name: build(node, self.measure_class, f"{key}.metrics.{name}") for name, node in chosen.items()}
        self.prepare()
        self._scores = self._unique_scores()
        return self

    def prepare(self) -> None:
        """Build what else the parameters describe, once `key` is known."""

    @abstractmethod
    def evaluate(self, trainer: Trainer, module: Any) -> None:
        """Generate, measure, record and save; all ranks call it."""

    def memory_advice(self) -> list[str]:
        """Return overrides with which the evaluation needs less memory; `aigc.tasks.memory` words those of tasks."""
        return []

    def scores_of(self, metric: Any) -> Iterable[str]:
        """Return the names of the scores that a metric gives, as far as they are known before it measures."""
        return ()

    def value_names(self) -> set[str] | None:
        """Return the names of the values that it records; None if some are not known before it measures."""
        left_out = len(self.metrics) < sum(node is not None for node in self._nodes.values())
        if left_out or not all(map(list, map(self.scores_of, self.metrics.values()))):
            return None
        return set(self._names.of(self._scores).values())

    def unmeasurable(self, metric: Any, samples: int, data: Any) -> str | None:
        """Return why a metric cannot measure this number of samples; None when it can."""
        return None

    def can_measure(self, task: Task) -> bool:
        """Return whether it can measure this task."""
        return isinstance(task, self.expects)

    def check_data(self, data: Any) -> None:
        """Check what else the data must have.

        Raises:
            InputError: Something is missing.
        """

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Check before the first step that the task and the data can be measured.

        Raises:
            InputError: They cannot, or two evaluations share a name; the message names the keys.
        """
        if not self._bound:
            self.bind(self.key)
        data: Any = getattr(trainer, "datamodule", None)
        kind = type(self).__name__
        if not isinstance(module, Task) or not self.can_measure(module):
            what = self.measures or f"a task of class {self.expects.__name__}"
            raise InputError(
                f"{self.key}: {kind} measures {what}, not {type(module).__name__}; "
                f"choose another evaluation, or switch it off with {self.key}=null"
            )
        for name, expected in self.needs.items():
            if not isinstance(getattr(data, name, None), expected):
                raise InputError(
                    f"{self.key}: {kind} needs data with `{name}`, which {type(data).__name__} does not have; "
                    f"choose other data, or switch it off with {self.key}=null"
                )
        self.check_data(data)
        self._check_metrics(data)
        evaluations = [one for one in trainer.callbacks if isinstance(one, Evaluation)]
        self._first = self not in evaluations[1:]
        self._names.join(self.key, [one._names for one in evaluations if one is not self], sorted(self._scores))

    def record(self, module: Task, values: Mapping[str, float], signatures: Mapping[str, str]) -> None:
        """Record scores under `val/`, apart from those of other evaluations.

        Args:
            module: The task.
            values: Score name to value.
            signatures: How the scores were made, by the same names.
        """
        names = self._names.of(values)
        module.record(
            {names[score]: value for score, value in values.items()},
            {names[score]: signature for score, signature in signatures.items()},
        )

    def shared_score(self, score: str, node: str, other: str) -> InputError:
        """Return the error of two metrics that give one score."""
        keys = f"{self.key}.metrics.{node}", f"{self.key}.metrics.{other}"
        return InputError(f"{keys[0]} gives the score {score}, and so does {keys[1]}: switch one off with =null")

    @property
    def samples_prefix(self) -> str:
        """The folder of its samples inside of the run folder, and the beginning of their names for loggers."""
        return "samples" if self._first else f"samples/{self.name}"

    def samples_folder(self, trainer: Trainer) -> Path:
        """Return the folder of its samples; it exists."""
        folder = Path(trainer.default_root_dir) / self.samples_prefix
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def on_validation_epoch_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Evaluate at a validation."""
        if self.at_validation:
            self.evaluate(trainer, module)

    def on_train_batch_start(self, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        """Evaluate between two steps when it is due."""
        if self.at_validation:
            return
        assert isinstance(module, Task)
        step = module.steps_done
        every = self.every_n_steps
        if self.at_start if step == 0 else every and module.ended_step() and step % every == 0:
            self._between_steps(trainer, module)

    def on_train_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Evaluate the end."""
        if not self.at_validation:
            self._between_steps(trainer, module)

    def on_fit_done(self, trainer: Trainer, module: Task) -> None:
        """Evaluate the end of a run that was killed while it did: Lightning calls no hook when no step is left."""
        if not self.at_validation:
            self._between_steps(trainer, module.to(trainer.strategy.root_device))

    def state_dict(self) -> dict[str, Any]:
        """Return the step that was evaluated last, as each is evaluated once, and names claimed during the run."""
        names = self._names.state()
        return ({} if self.at_validation else {"done_at": self._done_at}) | ({"names": names} if names else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._done_at = state_dict.get("done_at", -1)
        self._names.load_state(state_dict.get("names", {}))

    def _between_steps(self, trainer: Trainer, module: Any) -> None:
        if module.steps_done == self._done_at:
            return
        module.call_hook("on_evaluation_start")
        self._done_at = module.steps_done
        self.evaluate(trainer, module)
        module.call_hook("on_evaluation_end")

    def _unique_scores(self) -> set[str]:
        owners: dict[str, str] = {}
        for node, metric in self.metrics.items():
            for score in self.scores_of(metric):
                if score in owners:
                    raise self.shared_score(score, node, owners[score])
                owners[score] = node
        return set(owners)

    def _check_metrics(self, data: Any) -> None:
        for node, metric in list(self.metrics.items()):
            key = f"{self.key}.metrics.{node}"
            if not (reason := self.unmeasurable(metric, self.samples, data)):
                continue
            if self.samples == self._wanted or self.unmeasurable(metric, self._wanted, data):
                raise InputError(f"{key}: {reason}")
            log.warning("%s is left out under trainer.limit_evaluation_samples: %s", key, reason)
            del self.metrics[node]

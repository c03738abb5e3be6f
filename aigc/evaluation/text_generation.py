"""Evaluation of generated texts against the continuations of held-out prompts."""

import json
import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import regex
from pytorch_lightning import LightningModule, Trainer
from transformers import PreTrainedTokenizerBase

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound, Slot
from aigc.data.progress import log_once
from aigc.data.text.examples import Example
from aigc.data.text.prompts import Prompt, text_prompts
from aigc.data.text.tokenizer import encode
from aigc.errors import InputError
from aigc.evaluation.base import Evaluation
from aigc.evaluation.comparison import Written, write_comparison
from aigc.generation.sampling import Sampling
from aigc.generation.texts import continues_texts, generate_texts
from aigc.metrics.text import TextMetric
from aigc.metrics.text.scorer import AdditiveScorer, CollectionScorer
from aigc.models.adapters.base import adapter_of
from aigc.printing import plural
from aigc.runs.console import log
from aigc.runs.files import retrying, write_atomic
from aigc.tasks import LanguageTask, Task
from aigc.tasks.memory import advised, half


class Pair(NamedTuple):
    """A prompt, its true continuation, and the part of the prompt that belongs to the text itself."""

    given: Prompt
    reference: str
    kept: str


class TextGeneration(Evaluation):
    """Evaluation that generates texts for held-out prompts at each validation and saves samples/step-NNNNNN.jsonl.

    A held-out example with a prompt of its own uses it; of any other text the model is given the beginning.

    Args:
        metrics: Named `_target_` nodes of aigc.metrics.text; null switches one off, or all.
        samples: Number of held-out examples; the same ones at every validation.
        prompt_pattern: Regular expression that matches the beginning to give of a text; null gives its first half.
        sampling: Sampling controls, as for `aigc generate`; of several texts for a prompt (`num_samples`), all are
            measured and saved.
        shown: Number of generated texts to print.
        compare_with_base: Also generate before the first step, and save what the model wrote then beside what it writes
            now, prompt by prompt, in samples/comparison.md and .jsonl.
    """

    measure_class = TextMetric
    expects = LanguageTask
    measures = "a language task whose model continues texts"
    often_changed: ClassVar = ("samples", "sampling.temperature")
    needs: ClassVar[Mapping[str, type]] = {"heldout": list, "tokenizer": PreTrainedTokenizerBase}

    def __init__(
        self,
        metrics: Annotated[dict[str, Any] | None, Slot("aigc.metrics.text.scorer.TextMeasure", named=True)] = None,
        samples: Annotated[int, Bound(1)] = 128,
        prompt_pattern: str | None = None,
        sampling: Sampling | None = None,
        shown: Annotated[int, Bound(0)] = 4,
        compare_with_base: bool = False,
    ):
        super().__init__(metrics, samples)
        self.prompt_pattern = prompt_pattern
        self.sampling = sampling or Sampling()
        self.shown = shown
        self.compare_with_base = compare_with_base
        self._base: Written | None = None
        self._pattern: regex.Pattern[str] | None = None

    def prepare(self) -> None:
        """Compile the pattern of prompts, and check that the sampling controls go together."""
        if self.sampling.temperature == 0 and self.sampling.num_samples > self.sampling.num_beams:
            what = "temperature=0 always gives the same text; for several, raise temperature or num_beams"
            raise ConfigError([Problem(f"{self.key}.sampling.num_samples", what)])
        try:
            self._pattern = regex.compile(self.prompt_pattern) if self.prompt_pattern else None
        except regex.error as error:
            what = f"{self.prompt_pattern!r} is not a regular expression: {error}"
            raise ConfigError([Problem(f"{self.key}.prompt_pattern", what)]) from error

    def can_measure(self, task: Task) -> bool:
        """Return whether the task's model continues texts, whatever it is trained for."""
        return super().can_measure(task) and continues_texts(getattr(task, "model", None))

    def scores_of(self, metric: TextMetric) -> Iterable[str]:
        """Return the names of the scores, found by measuring two texts."""
        texts = ["a", "b"]
        if isinstance(metric, AdditiveScorer):
            return list(metric.scores_of(metric.statistics(texts, texts).sum(axis=0)))
        return list(metric.scores_of(texts)) if isinstance(metric, CollectionScorer) else ()

    def memory_advice(self) -> list[str]:
        """Advise fewer texts at the same time."""
        return advised(half(f"{self.key}.sampling.batch_size", self.sampling.batch_size))

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        """Check also that there is a base to compare with; see `Evaluation.setup`."""
        super().setup(trainer, module, stage)
        adapter = adapter_of(module.model) if isinstance(module, LanguageTask) else None
        if self.compare_with_base and adapter is not None and not adapter.mergeable:
            raise InputError(
                f"{self.key}.compare_with_base: a model with {type(adapter).__name__} is not the base model before its "
                "first step, as it adds tokens to each text: set it to false"
            )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        """Generate with the base model: before its first step, an adapter that changes weights does nothing yet."""
        if not self.compare_with_base or self._base is not None:
            return
        assert isinstance(module, LanguageTask)
        if module.steps_done:
            log.warning("%s: nothing was generated before the first step, so there is no comparison", self.key)
            return
        pairs = self.pairs(trainer.datamodule.heldout, trainer.datamodule)
        if pairs:
            self._base = self._written(trainer, module, pairs)[0]

    def evaluate(self, trainer: Trainer, module: LanguageTask) -> None:
        """Generate, measure, save and print texts."""
        data: Any = trainer.datamodule
        pairs = self.pairs(data.heldout, data)
        self._log_left_out(min(len(data.heldout), self.samples), len(pairs))
        if not pairs:
            return
        written, signatures = self._written(trainer, module, pairs)
        self.record(module, written.scores, signatures)
        folder = self.samples_folder(trainer)
        self._save(folder / f"step-{module.steps_done:06d}.jsonl", pairs, written.texts)
        if self._base is not None and self._base.asks_the_same(written):
            write_comparison(folder, module.steps_done, self._base, written)
        self._show(written.prompts, written.texts)

    def _written(self, trainer: Trainer, module: LanguageTask, pairs: list[Pair]) -> tuple[Written, dict[str, str]]:
        """Return what the model writes, with its scores over all ranks, and how these were made."""
        tokenizer = trainer.datamodule.tokenizer
        prompts, references = [p.given for p in pairs], [p.reference for p in pairs]
        # A text twice as long as the longest reference is enough to see that a model does not stop.
        longest = max(len(ids) for ids in encode(tokenizer, references)) + 1
        sampling = replace(self.sampling, max_new_tokens=self.sampling.max_new_tokens or 2 * longest)
        with trainer.strategy.precision_plugin.forward_context():
            texts = generate_texts(module.model, tokenizer, prompts, sampling, shorten=True)
        # All ranks generate all texts, as one alone would; each measures its share, and the metrics sum over the ranks.
        # The devices of all ranks are of one kind, so their texts are equal, and each rank can save all of them.
        every = [(pair, text) for pair, several in zip(pairs, texts, strict=True) for text in several]
        mine = every[trainer.global_rank :: trainer.world_size]
        scores, signatures = self.measure([pair for pair, _ in mine], [text for _, text in mine])
        return Written([one.text for one in prompts], references, texts, scores), signatures

    def state_dict(self) -> dict[str, Any]:
        """Add what the base model wrote."""
        return super().state_dict() | ({"base": self._base.plain()} if self._base else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._base = Written(**state_dict["base"]) if "base" in state_dict else None

    def pairs(self, heldout: list[Example], data: Any) -> list[Pair]:
        """Return the chosen examples; a text that is too short to split is left out."""
        chosen = heldout
        if len(heldout) > self.samples:
            picked = random.Random(0).sample(range(len(heldout)), self.samples)
            chosen = [heldout[index] for index in sorted(picked)]
        pairs = [self._pair(example, data) for example in chosen]
        return [pair for pair in pairs if pair.given.text and pair.reference]

    def _log_left_out(self, chosen: int, used: int) -> None:
        """Say once in a process how many held-out examples leave nothing to write."""
        if used == chosen:
            return
        what = f"{self.key}: nothing to write in {chosen - used:,} of {plural(chosen, 'held-out example')}"
        if self.prompt_pattern:
            pattern = f"{self.key}.prompt_pattern {self.prompt_pattern!r}"
            what += f", as {pattern} takes the whole text or nothing; null gives the first half of each text"
        log_once(what if used else f"{what}, so that no texts are generated and measured", logging.WARNING)

    def measure(self, pairs: list[Pair], written: list[str]) -> tuple[dict[str, float], dict[str, str]]:
        """Return the scores of every metric over all ranks, and how each was computed.

        The form is checked on the whole text where a part of it was given.
        """
        references = [pair.reference for pair in pairs]
        whole = [pair.kept + text for pair, text in zip(pairs, written, strict=True)]
        values: dict[str, float] = {}
        signatures: dict[str, str] = {}
        owners: dict[str, str] = {}
        for node, metric in self.metrics.items():
            metric.reset()
            metric.update(whole if getattr(metric, "of_whole_texts", False) else written, references)
            scores = {name: float(score) for name, score in metric.compute().items()}
            if shared := sorted(owners.keys() & scores.keys()):
                raise self.shared_score(shared[0], node, owners[shared[0]])
            owners |= dict.fromkeys(scores, node)
            values |= scores
            signatures |= dict.fromkeys(scores, metric.signature)
        return values, signatures

    def _pair(self, example: Example, data: Any) -> Pair:
        asked = data.question(example) if hasattr(data, "question") else None  # data of one's own may hold texts alone
        if asked is not None:
            return Pair(asked[0], asked[1], "")
        found = self._pattern.match(example.text) if self._pattern else None
        at = found.end() if found else len(example.text) // 2
        given, reference = example.text[:at], example.text[at:]
        return Pair(text_prompts(data.tokenizer, [given])[0], reference, given)

    def _save(self, path: Path, pairs: list[Pair], written: list[list[str]]) -> None:
        """Write a line for each text; `text` is the whole text where a part of it was given."""
        lines = []
        for pair, outputs in zip(pairs, written, strict=True):
            for output in outputs:
                row = {"prompt": pair.given.text, "output": output, "reference": pair.reference}
                lines.append(json.dumps({**row, "text": pair.kept + output} if pair.kept else row, ensure_ascii=False))
        retrying(lambda: write_atomic(path, "\n".join(lines) + "\n"), f"write {path}")

    def _show(self, prompts: list[str], written: list[list[str]]) -> None:
        for prompt, texts in list(zip(prompts, written, strict=True))[: self.shown]:
            log.info("  %s│%s", _in_one_line(prompt), _in_one_line(texts[0]))


def _in_one_line(text: str) -> str:
    """Show line breaks, so that a sample stays one line."""
    return "↵".join(text.splitlines()) + ("↵" if text.endswith("\n") else "")

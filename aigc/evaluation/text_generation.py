"""Evaluation of generated texts against the continuations of held-out prompts."""

import json
import logging
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import regex
from pytorch_lightning import Trainer
from transformers import PreTrainedTokenizerBase

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound, Slot
from aigc.data.progress import log_once
from aigc.data.text.examples import Example
from aigc.data.text.prompts import Prompt, text_prompts
from aigc.data.text.tokenizer import encode
from aigc.evaluation.base import Evaluation
from aigc.generation.sampling import Sampling
from aigc.generation.texts import continues_texts, generate_texts
from aigc.metrics.text import TextMetric
from aigc.metrics.text.scorer import AdditiveScorer, CollectionScorer
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
        sampling: Sampling controls, as for `aigc generate`.
        shown: Number of generated texts to print.
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
    ):
        super().__init__(metrics, samples)
        self.prompt_pattern = prompt_pattern
        self.sampling = sampling or Sampling()
        self.shown = shown
        self._pattern: regex.Pattern[str] | None = None

    def prepare(self) -> None:
        """Compile the pattern of prompts."""
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

    def evaluate(self, trainer: Trainer, module: LanguageTask) -> None:
        """Generate, measure, save and print texts."""
        data: Any = trainer.datamodule
        pairs = self.pairs(data.heldout, data)
        self._log_left_out(min(len(data.heldout), self.samples), len(pairs))
        if not pairs:
            return
        prompts, references = [p.given for p in pairs], [p.reference for p in pairs]
        # A text twice as long as the longest reference is enough to see that a model does not stop.
        longest = max(len(ids) for ids in encode(data.tokenizer, references)) + 1
        sampling = replace(self.sampling, max_new_tokens=self.sampling.max_new_tokens or 2 * longest, num_samples=1)
        with trainer.strategy.precision_plugin.forward_context():
            written = [texts[0] for texts in generate_texts(module.model, data.tokenizer, prompts, sampling, True)]
        # All ranks generate all texts, as one alone would; each measures its share, and the metrics sum over the ranks.
        # The devices of all ranks are of one kind, so their texts are equal, and each rank can save all of them.
        mine = slice(trainer.global_rank, None, trainer.world_size)
        values, signatures = self.measure(pairs[mine], written[mine])
        self.record(module, values, signatures)
        self._save(self.samples_folder(trainer) / f"step-{module.steps_done:06d}.jsonl", pairs, written)
        self._show([p.text for p in prompts], written)

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

    def _save(self, path: Path, pairs: list[Pair], written: list[str]) -> None:
        """Write a line for each prompt; `text` is the whole text where a part of it was given."""
        lines = []
        for pair, output in zip(pairs, written, strict=True):
            row = {"prompt": pair.given.text, "output": output, "reference": pair.reference}
            lines.append(json.dumps({**row, "text": pair.kept + output} if pair.kept else row, ensure_ascii=False))
        retrying(lambda: write_atomic(path, "\n".join(lines) + "\n"), f"write {path}")

    def _show(self, prompts: list[str], written: list[str]) -> None:
        for prompt, text in list(zip(prompts, written, strict=True))[: self.shown]:
            log.info("  %s│%s", _in_one_line(prompt), _in_one_line(text))


def _in_one_line(text: str) -> str:
    """Show line breaks, so that a sample stays one line."""
    return "↵".join(text.splitlines()) + ("↵" if text.endswith("\n") else "")

"""Objectives of one's own, as a person would write them: nothing in aigc knows of them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from aigc.data.text.documents import Documents, Table
from aigc.data.text.examples import Example
from aigc.data.text.objectives import Context, Encoded, Objective
from aigc.data.text.objectives.base import padded
from aigc.data.text.packing import IGNORE
from aigc.data.text.tokenizer import encode


class Classification(Objective):
    """A class for each text, named by a column."""

    numbers = ("label",)
    fits = True

    def __init__(self, label_column: str = "label") -> None:
        self.label_column = label_column

    def columns(self) -> tuple[str, ...]:
        return (self.label_column,)

    def fit(self, examples: Sequence[Example]) -> dict[str, Any]:
        return {"classes": sorted({str(example.values[self.label_column]) for example in examples})}

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        classes = context.learned["classes"]
        texts = encode(context.tokenizer, [example.text for example in examples])
        for example, ids in zip(examples, texts, strict=True):
            label = str(example.values[self.label_column])
            if label not in classes:
                raise ValueError(f"column '{self.label_column}' holds '{label}', which no training example has")
            kept = ids[: context.sequence_length]
            yield Encoded({"tokens": kept}, {"label": classes.index(label)}, shortened=len(kept) < len(ids))

    def targets(self, table: Table) -> np.ndarray:
        return np.ones(len(table), np.int64)

    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        lengths, labels = documents.length("tokens"), torch.from_numpy(documents.number("label").copy())
        ids = padded(documents.ids["tokens"], lengths, 0, context.sequence_length)
        mask = padded(np.ones_like(documents.ids["tokens"]), lengths, 0, context.sequence_length)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": labels,
            "classes": labels,
            "target_tokens": len(labels),
        }


class SequenceToSequence(Objective):
    """A completion from its prompt: ids of both, padded each by itself."""

    sequences = ("source", "target")
    labels_apart = True

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        tokenizer, most = context.tokenizer, context.sequence_length
        sources = encode(tokenizer, [example.prompt for example in examples])
        targets = encode(tokenizer, [example.text for example in examples])
        for example, source, target in zip(examples, sources, targets, strict=True):
            kept = target[: most - 1]
            learned = example.text if len(kept) == len(target) else tokenizer.decode(kept)
            ids = {"source": source[:most], "target": [*kept, tokenizer.eos_token_id]}
            yield Encoded(ids, learned=learned, shortened=len(source) > most or len(kept) < len(target))

    def targets(self, table: Table) -> np.ndarray:
        return table.length("target")

    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        most, source, target = context.sequence_length, documents.length("source"), documents.length("target")
        inputs = padded(documents.ids["source"], source, 0, most)
        labels = padded(documents.ids["target"], target, IGNORE, most)
        mask = padded(np.ones_like(documents.ids["source"]), source, 0, most)
        return {"input_ids": inputs, "attention_mask": mask, "labels": labels, "target_tokens": int(target.sum())}


class Masked(Objective):
    """A share of the tokens hidden, and others hidden in each epoch."""

    def __init__(self, share: float = 0.15) -> None:
        self.share = share

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        texts = encode(context.tokenizer, [example.text for example in examples])
        for ids in texts:  # which tokens are targets is chosen in each epoch, so their text is not counted
            yield Encoded({"tokens": ids[: context.sequence_length]}) if ids else None

    def targets(self, table: Table) -> np.ndarray:
        return np.maximum(1, np.round(self.share * table.length("tokens"))).astype(np.int64)

    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        lengths, counts = documents.length("tokens"), self.targets(documents.table)
        hidden = [documents.random(row).permutation(n) < counts[row] for row, n in enumerate(lengths)]
        chosen, ids = np.concatenate(hidden), documents.ids["tokens"]
        inputs = padded(np.where(chosen, context.tokenizer.pad_token_id, ids), lengths, 0, context.sequence_length)
        labels = padded(np.where(chosen, ids, IGNORE), lengths, IGNORE, context.sequence_length)
        mask = padded(np.ones_like(ids), lengths, 0, context.sequence_length)
        return {"input_ids": inputs, "attention_mask": mask, "labels": labels, "target_tokens": int(counts.sum())}


class Chat(Objective):
    """A conversation, which a column holds as a list of turns; all of its turns are learned."""

    reads_texts = False
    sequences = ("tokens",)

    def columns(self) -> tuple[str, ...]:
        return ("messages",)

    def example(self, example: Example) -> Example:
        turns = example.values["messages"]
        if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
            raise ValueError("column 'messages' holds no list of turns, each with a role and a content")
        *before, last = (f"{turn['role']}: {turn['content']}\n" for turn in turns)
        return Example(last, "".join(before), example.values)

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        for ids in encode(context.tokenizer, [example.prompt + example.text for example in examples]):
            kept = ids[-context.sequence_length :]
            yield Encoded({"tokens": kept}, learned=context.tokenizer.decode(kept), shortened=len(kept) < len(ids))

    def targets(self, table: Table) -> np.ndarray:
        return table.length("tokens")

    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        lengths = documents.length("tokens")
        ids = padded(documents.ids["tokens"], lengths, 0, context.sequence_length)
        return {"input_ids": ids, "labels": ids.clone(), "target_tokens": int(lengths.sum())}

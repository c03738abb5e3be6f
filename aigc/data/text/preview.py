"""Documents as a model sees them, with learned tokens told from others, and numbers of a split."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedTokenizerFast

from aigc.data.preview import Piece, Sample
from aigc.data.text.documents import Table, gather
from aigc.data.text.objectives.base import Context, Objective, padded_width
from aigc.data.text.packing import IGNORE, Integers
from aigc.data.text.tokenised import TokenisedSplit, into_rows
from aigc.data.text.tokenizer import special_ids

_LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8, and so the most tokens that one is spelled with."""
_BROKEN = "\ufffd"


def numbers(
    split: TokenisedSplit,
    objective: Objective,
    context: Context,
    packing: bool,
    batch_size: int,
    order: Callable[[Integers], Integers],
) -> dict[str, int | float]:
    """Return what there is to know of a split.

    Args:
        split: The split.
        objective: What made its documents.
        context: What the objective worked with.
        packing: Whether its rows may hold several documents.
        batch_size: Rows in a batch.
        order: Returns the order of rows of these lengths: padding depends on which are in a batch together.
    """
    known, lengths, most = split.numbers, split.table.lengths(), context.sequence_length
    tokens, targets = max(1, known["tokens"]), max(1, known["target_tokens"])
    found: dict[str, int | float] = {name: known[name] for name in ("examples", "documents", "rows", "tokens")}
    found["target_tokens"] = known["target_tokens"]
    found["target_share"] = known["target_tokens"] / tokens
    if known["characters"]:
        found["characters_per_target"] = known["characters"] / targets
    quantiles = np.quantile(lengths, [0, 0.5, 0.95, 1], method="higher")
    names = ("length_min", "length_median", "length_95_percent", "length_max")
    found |= {name: int(value) for name, value in zip(names, quantiles, strict=True)}
    if len(objective.sequences) == 1:  # others are padded each by itself
        made = {"padding_share": (split.table, split.rows)}
        if objective.packs:
            other = f"padding_share_with{'out' if packing else ''}_packing"
            made[other] = into_rows(_in_order(split.table, objective), not packing, most)
        for name, (table, begins) in made.items():
            in_rows = np.add.reduceat(table.lengths(), begins[:-1])
            found[name] = padding(in_rows[order(in_rows)], batch_size, most)
    found |= {name: known[name] for name in ("cut", "split", "dropped", "unknown_share") if name in known}
    return found


def tokenizer_facts(tokenizer: PreTrainedTokenizerFast, origin: str, end_ids: Sequence[int]) -> dict[str, Any]:
    """Return what there is to know of a tokenizer.

    Args:
        tokenizer: The tokenizer.
        origin: Where it comes from: how it was made, or the path of a pretrained one.
        end_ids: The ids with which a text ends, besides its end token.
    """
    return {
        "tokenizer": origin,
        "vocabulary_size": len(tokenizer),
        "start_token": tokenizer.bos_token,
        "end_tokens": [tokenizer.eos_token, *tokenizer.convert_ids_to_tokens(list(end_ids))],
    }


def shapes(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shapes of the tensors of a batch, and all else as it is."""
    return {name: list(one.shape) if isinstance(one, torch.Tensor) else one for name, one in batch.items()}


def padding(lengths: Integers, batch_size: int, most: int) -> float:
    """Return the share of padding in batches of rows.

    Args:
        lengths: The tokens of each row in the order in which they come, (rows,).
        batch_size: Rows in a batch.
        most: The longest row there can be.
    """
    size = min(batch_size, len(lengths))
    batches = lengths[: len(lengths) - len(lengths) % size].reshape(-1, size)
    room = sum(size * padded_width(int(longest), most) for longest in batches.max(axis=1))
    return 1 - int(batches.sum()) / room


def samples(
    split: TokenisedSplit, objective: Objective, context: Context, count: int, seed: int = 0
) -> Iterator[Sample]:
    """Yield the first documents of a split, in the order of the data, each as a batch of one row shows it.

    Args:
        split: The split.
        objective: Makes the batches.
        context: What it works with.
        count: How many.
        seed: Decides what is drawn at random, as in the first epoch.
    """
    table = _in_order(split.table, objective)
    for index in range(min(count, len(table))):
        one = table.with_cells(table.cells[index : index + 1])
        documents = gather(split.ids, one, np.ones(1, np.int64), [(seed, 0, index)])
        batch = objective.collate(documents, context)
        yield sample_of(batch, int(one.lengths()[0]), context.tokenizer, objective.labels_apart)


def _in_order(table: Table, objective: Objective) -> Table:
    """Return documents in the order of the data: packing has changed it, and their ids still lie in it."""
    return table.with_cells(table.cells[np.argsort(table.start(objective.sequences[0]), kind="stable")])


def sample_of(batch: Mapping[str, Any], length: int, tokenizer: PreTrainedTokenizerFast, apart: bool = False) -> Sample:
    """Return what a batch of one document holds: all `input_ids` with their `labels`, and what is a number.

    Args:
        batch: What an objective has made. `chosen_input_ids` go with `chosen_labels` and `chosen_attention_mask`.
        length: How many tokens are not padding, where no `attention_mask` or `segment_ids` says it.
        tokenizer: Gives the texts.
        apart: Whether labels are sequences of their own.
    """
    sequences: dict[str, list[Piece]] = {}
    tensors = {name: value for name, value in batch.items() if isinstance(value, torch.Tensor)}
    for name in (name for name, value in tensors.items() if name.endswith("input_ids") and value.ndim == 2):
        ids, prefix = tensors[name], name.removesuffix("input_ids")
        kept = _not_padding(tensors, prefix, ids, length)
        labels = tensors.get(f"{prefix}labels", torch.full_like(ids, IGNORE))
        aligned = labels.shape == ids.shape and not apart
        for row in range(len(ids)):
            number = f" {row + 1}" if len(ids) > 1 else ""
            shown = labels[row][kept[row]] if aligned else None
            sequences[name + number] = pieces(tokenizer, ids[row][kept[row]], shown)
            if not aligned and labels.ndim == 2:
                own = labels[row][labels[row] != IGNORE]
                sequences[f"{prefix}labels{number}"] = pieces(tokenizer, own, own)
    values = {name: value.tolist() for name, value in tensors.items() if value.ndim == 1 and len(value) == 1}
    return Sample(sequences, {name: value[0] for name, value in values.items()})


def _not_padding(tensors: Mapping[str, torch.Tensor], prefix: str, ids: torch.Tensor, length: int) -> torch.Tensor:
    """Return which ids are not padding, (rows, length) bool."""
    for name in (f"{prefix}attention_mask", f"{prefix}segment_ids"):
        if name in tensors and tensors[name].shape == ids.shape:
            return tensors[name] != 0
    return torch.arange(ids.shape[1]).expand_as(ids) < length


def pieces(tokenizer: PreTrainedTokenizerFast, ids: torch.Tensor, labels: torch.Tensor | None) -> list[Piece]:
    """Return tokens with their texts.

    Args:
        tokenizer: Gives the texts.
        ids: The tokens, (tokens,).
        labels: What the loss is computed against, (tokens,), `IGNORE` where there is none; None for no loss at all.
    """
    against = [IGNORE] * len(ids) if labels is None else labels.tolist()
    special = special_ids(tokenizer)
    found, begin = [], 0
    for group, text in characters(tokenizer, ids.tolist()):
        ahead = against[begin : begin + len(group)]
        begin += len(group)
        known = tuple(None if label == IGNORE else label for label in ahead)
        other = any(label not in (None, one) for label, one in zip(known, group, strict=True))
        expected = _decode(tokenizer, [label for label in known if label is not None]) if other else ""
        found.append(Piece(text, tuple(group), known, not special.isdisjoint(group), expected))
    return found


def characters(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> Iterator[tuple[Sequence[int], str]]:
    """Yield the tokens with their texts; those that spell one character together.

    A text is what a token adds to those before it, as the first one may be decoded without its space.
    """
    before: Sequence[int] = ()
    begin = 0
    while begin < len(ids):
        found = [ids[begin : begin + count] for count in range(1, _LONGEST_CHARACTER + 1)]
        texts = (_after(tokenizer, before, group) for group in found)
        whole = next(((group, text) for group, text in zip(found, texts, strict=True) if _BROKEN not in text), None)
        group, text = whole or (found[0], _after(tokenizer, before, found[0]))
        yield group, text
        before, begin = group, begin + len(group)


def _after(tokenizer: PreTrainedTokenizerFast, before: Sequence[int], ids: Sequence[int]) -> str:
    head, whole = _decode(tokenizer, before), _decode(tokenizer, [*before, *ids])
    return whole[len(head) :] if whole.startswith(head) else _decode(tokenizer, ids)


def _decode(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

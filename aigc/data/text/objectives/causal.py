"""Next-token prediction: a document is `[bos] prompt text [eos]`; a row holds several, each by itself."""

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from aigc.data.text.documents import Documents, Table
from aigc.data.text.examples import Example
from aigc.data.text.objectives.base import Context, Encoded, Objective, padded
from aigc.data.text.packing import IGNORE, Integers, ranges
from aigc.data.text.tokenizer import encode

_START, _LENGTH, _TARGET = 0, 1, 2


class CausalBatch(TypedDict):
    """What a causal language model learns from: int64 tensors of shape (rows, length), padded on the right."""

    input_ids: torch.Tensor
    """Token ids; 0 at padding."""
    labels: torch.Tensor
    """The token itself where it is a target, `IGNORE` elsewhere; not shifted."""
    segment_ids: torch.Tensor
    """Which document of the row a token belongs to, from 1; 0 at padding."""
    position_ids: torch.Tensor
    """The token's position in its document, from 0; 0 at padding."""
    target_tokens: int
    """How many labels are not `IGNORE`."""
    packed: bool
    """Whether any row holds several documents."""


class Causal(Objective):
    """Each token of a text is predicted from those before it; a prompt carries no loss."""

    numbers = ("target",)
    packs = True

    def encode(self, examples: Sequence[Example], context: Context) -> Iterator[Encoded | None]:
        """Make a document of each example, as `document` says."""
        tokenizer, length = context.tokenizer, context.sequence_length
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        prompts = encode(tokenizer, [example.prompt for example in examples])
        texts = encode(tokenizer, [example.text for example in examples])
        for example, prompt, text in zip(examples, prompts, texts, strict=True):
            ids, target, left_out = document(prompt, text, bos, eos, length)
            if target >= len(ids):
                yield None
                continue
            learned = example.text
            if left_out and ids[-1] != eos:
                learned = tokenizer.decode(ids[target:], skip_special_tokens=False)
            elif bos is None and not prompt:  # the first token is context, so its text is not learned
                learned = tokenizer.decode(ids[target:-1], skip_special_tokens=False)
            yield Encoded({"tokens": ids}, {"target": target}, learned, left_out > 0 or len(ids) > length)

    def cut(self, table: Table, context: Context) -> Table:
        """Cut long documents as the function `cut` says."""
        return table.with_cells(cut(table.cells, context.sequence_length))

    def targets(self, table: Table) -> Integers:
        """All tokens from the first target on."""
        return table.length("tokens") - table.number("target")

    def learned_tokens(self, documents: Documents) -> NDArray[np.bool_]:
        """Return which tokens are targets, (tokens of all documents,) bool; never the first of a document."""
        length = documents.length("tokens")
        position = ranges(np.zeros_like(length), length)
        found: NDArray[np.bool_] = position >= np.repeat(documents.number("target"), length)
        return found

    def collate(self, documents: Documents, context: Context) -> dict[str, Any]:
        """Make a `CausalBatch`."""
        tokens, length = documents.ids["tokens"], documents.length("tokens")
        learned = self.learned_tokens(documents)
        counts, most = documents.counts, context.sequence_length
        in_row = np.add.reduceat(length, np.cumsum(counts) - counts)
        position = ranges(np.zeros_like(length), length)
        segment = np.repeat(ranges(np.ones_like(counts), counts), length)
        label = np.where(learned, tokens, IGNORE)
        batch = CausalBatch(
            input_ids=padded(tokens, in_row, 0, most),
            labels=padded(label, in_row, IGNORE, most),
            segment_ids=padded(segment, in_row, 0, most),
            position_ids=padded(position, in_row, 0, most),
            target_tokens=int(learned.sum()),
            packed=bool((counts > 1).any()),
        )
        return dict(batch)


def document(
    prompt: list[int], text: list[int], bos: int | None, eos: int, sequence_length: int
) -> tuple[list[int], int, int]:
    """`[bos] prompt text [eos]`, shortened to a row when it has a prompt.

    A long one loses the left part of the prompt first, then the right end of the text (and with it the eos). One token
    before the text always stays: the first token of a document is never predicted. A long document without a prompt
    stays whole here and is cut by `cut`.

    Args:
        prompt: Token ids that carry no loss.
        text: Token ids that are learned.
        bos: The first token, if the tokenizer has one.
        eos: The last token.
        sequence_length: The length of a row in tokens.

    Returns:
        The ids, the index of the first target among them, and how many tokens were left out. Without any target the
        index equals the number of ids.
    """
    context = [] if bos is None else [bos]
    if not text:
        return context, len(context), len(prompt)
    completion = [*text, eos]
    if not prompt:
        return context + completion, 1, 0
    whole = len(context) + len(prompt) + len(completion)
    if whole > sequence_length:
        room = max(sequence_length - len(completion) - len(context), 0 if context else 1)
        context += prompt[len(prompt) - min(room, len(prompt)) :]
        completion = completion[: sequence_length - len(context)]
    else:
        context += prompt
    ids = context + completion
    return ids, len(context), whole - len(ids)


def cut(table: Integers, sequence_length: int) -> Integers:
    """Cut documents longer than a row into pieces, each a document of its own.

    Pieces overlap by one token: the last of a piece is the first of the next, where it is context and not predicted, so
    that every target is predicted once.

    Args:
        table: (documents, 3) int64: first token, number of tokens, first target (which is 1 in one longer than a row).
        sequence_length: The length of a row in tokens, at least 2.

    Returns:
        (pieces, 3) int64, in the order of the documents.
    """
    stride = sequence_length - 1
    pieces = np.maximum(1, -(-(table[:, _LENGTH] - 1) // stride))
    source = np.repeat(np.arange(len(table)), pieces)
    skipped = ranges(np.zeros_like(pieces), pieces) * stride
    start = table[source, _START] + skipped
    length = np.minimum(table[source, _LENGTH] - skipped, sequence_length)
    return np.stack([start, length, table[source, _TARGET]], axis=1)

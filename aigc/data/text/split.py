"""Training and validation examples, split so that no text is on both sides."""

import hashlib
import heapq
import unicodedata
from collections.abc import Iterable, Sequence

from aigc.data.text.examples import Example
from aigc.errors import InputError
from aigc.printing import plural


def split(examples: Sequence[Example], fraction: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Split off `fraction` of the distinct texts for validation.

    Texts that are equal after NFKC and collapsing white space are one text, and so are examples with equal prompts.
    Which texts go is decided by a hash of each text and the seed: adding examples moves few of the others.

    Args:
        examples: What is split; the order is kept on both sides.
        fraction: Share of the distinct texts, at least 0 and below 1. Above 0, at least one text is split off.
        seed: Chooses another share.

    Returns:
        The training and the validation examples; `round(fraction * distinct texts)` distinct texts are in the latter.

    Raises:
        InputError: The fraction is out of range, or nothing would be left to train on.
    """
    if not 0 <= fraction < 1:
        raise InputError(f"data.validation_fraction is {fraction}; allowed: at least 0 and below 1.")
    if fraction == 0:
        return list(examples), []
    groups = [group_of(example, seed) for example in examples]
    distinct = set(groups)
    wanted = max(1, round(fraction * len(distinct)))
    if wanted >= len(distinct):
        what = (
            f"data.validation_fraction {fraction} of {plural(len(distinct), 'distinct text')} leaves none to train on"
        )
        only = f": {one_text(examples)}" if len(examples) == 1 else ". Lower it, or give more data."
        raise InputError(what + only)
    chosen = set(heapq.nsmallest(wanted, distinct))
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example, group in zip(examples, groups, strict=True):
        sides[group in chosen].append(example)
    return sides


def one_text(examples: Sequence[Example]) -> str:
    """Describe a corpus of one example, and what to do to have more, for the end of a message."""
    size = len(examples[0].prompt) + len(examples[0].text)
    return (
        f"the corpus is one text of {size:,} characters. data.document says what a text of a .txt file is: a line, a "
        "paragraph or the file. Break a long line into several, or hold no text out (data.validation_fraction=0, or "
        "data.validation_documents=0 for a stream)."
    )


def overlap(train: Iterable[Example], validation: Iterable[Example]) -> int:
    """Count the distinct texts (or prompts) that are on both sides."""
    return len({group_of(example, 0) for example in train} & {group_of(example, 0) for example in validation})


def normalise(text: str) -> str:
    """The text as it is compared: NFKC, each run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def group_of(example: Example, seed: int) -> bytes:
    """Return the group that must stay together: a prompt with all its completions, or a text with all its copies."""
    kind, text = ("prompt", example.prompt) if example.prompt else ("text", example.text)
    return hashlib.sha256(f"{seed}\0{kind}\0{normalise(text)}".encode()).digest()

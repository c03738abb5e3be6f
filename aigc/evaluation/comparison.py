"""What a model wrote before it was trained beside what it writes now, prompt by prompt."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from aigc.runs.files import retrying, write_atomic

_SCORE = "{:.4g}"


class Written(NamedTuple):
    """What a model wrote for some prompts, and its scores."""

    prompts: list[str]
    references: list[str]
    texts: list[list[str]]
    """All texts of each prompt."""
    scores: dict[str, float]

    def plain(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return self._asdict()

    def asks_the_same(self, other: "Written") -> bool:
        """Return whether both are for the same prompts."""
        return self.prompts == other.prompts and self.references == other.references


def write_comparison(folder: Path, step: int, base: Written, tuned: Written) -> None:
    """Write comparison.jsonl, a line for each prompt, and comparison.md, the same for reading.

    Args:
        folder: Where.
        step: The step of the tuned model.
        base: What the model wrote before its first step.
        tuned: What it writes now, for the same prompts.
    """
    rows = [
        {"prompt": prompt, "reference": reference, "base": before, "tuned": now}
        for prompt, reference, before, now in zip(base.prompts, base.references, base.texts, tuned.texts, strict=True)
    ]
    lines = "".join(json.dumps({"step": step, **row}, ensure_ascii=False) + "\n" for row in rows)
    page = "\n".join(_page(step, rows, base.scores, tuned.scores))
    for name, content in (("comparison.jsonl", lines), ("comparison.md", page)):
        retrying(partial(write_atomic, folder / name, content), f"write {folder / name}")


def _page(
    step: int, rows: Sequence[Mapping[str, Any]], before: Mapping[str, float], now: Mapping[str, float]
) -> Iterator[str]:
    yield f"# Base model and model of step {step}\n"
    if before:
        yield "| score | base | tuned |\n|---|---|---|"
        for name in before:
            yield f"| {name} | {_SCORE.format(before[name])} | {_SCORE.format(now.get(name, float('nan')))} |"
        yield ""
    for number, row in enumerate(rows, 1):
        yield f"## {number}\n"
        for name in ("prompt", "reference", "base", "tuned"):
            texts = row[name] if isinstance(row[name], list) else [row[name]]
            for text in texts:
                yield f"**{name}**\n\n{_quoted(text)}\n"


def _quoted(text: str) -> str:
    """Return a text as a block of code, which Markdown shows as it is."""
    return "\n".join(f"    {line}" for line in text.splitlines()) or "    "

"""A custom kind of model, unlike those of aigc: a bigram model of letters."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from aigc.inference.base import SAFETENSORS, Comparison, Generated, Request, SavedModel


@dataclass(frozen=True)
class LetterKeys:
    """The keys of `aigc generate`."""

    letters: int = 8
    """Letters of a line."""
    lines: int = 1
    """Number of lines."""


class SavedBigrams(SavedModel):
    """A table of the letters that follow each letter, as JSON."""

    makes = "lines of letters"
    keys = LetterKeys
    formats: ClassVar[Mapping[str, str]] = {SAFETENSORS: "nothing", "table": "any reader of JSON"}

    def load(self) -> tuple[dict[str, str], None]:
        return json.loads((self.run.model / "table.json").read_text()), None

    def generate(self, request: Request) -> Iterator[Generated]:
        table, _ = self.load()
        chance = random.Random(0)
        for number in range(request.keys.lines):
            line = min(table)
            while len(line) < request.keys.letters:
                line += chance.choice(table[line[-1]])
            yield Generated(line, {"number": number, "line": line})

    def measure(self, cfg: Any, overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        return {"val/letters": float(len(self.load()[0]))}, {"val/letters": "all"}

    def export(self, form: str, folder: Path, checkpoint: str | None) -> Comparison:
        (folder / "table.json").write_text(json.dumps(self.load()[0]))
        same = json.loads((folder / "table.json").read_text()) == self.load()[0]
        return Comparison("tables", 0.0 if same else 1.0, 0.0)


class NoModel:
    """Not a kind of model."""

"""All that decides how text is prepared, but the text."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from aigc.data.text.examples import Layout
from aigc.data.text.objectives.base import Objective
from aigc.data.text.objectives.causal import Causal
from aigc.data.text.tokenizer import TokenizerSettings, fingerprint, load_pretrained

FORMAT = 1
"""Raised whenever the same recipe would give other files."""


@dataclass(frozen=True)
class TextRecipe:
    """What decides how text is prepared, of any corpus."""

    layout: Layout = field(default_factory=Layout)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    sequence_length: int = 256
    packing: bool = True
    objective: Objective = field(default_factory=Causal)
    learned: Mapping[str, Any] = field(default_factory=dict)
    """What the objective has learned for a model, which it keeps; empty to fit it to the examples."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing has to be made from training examples: neither a tokenizer, nor what the objective learns."""
        return self.tokenizer.kind == "pretrained" and (not self.objective.learns or bool(self.learned))

    def settings(self) -> dict[str, Any]:
        """All of it but the objective and what it has learned, in JSON's types."""
        settings = asdict(self)
        del settings["objective"], settings["learned"]
        settings["tokenizer"]["path"] = None  # where a tokenizer is does not matter, what it is does
        for name in ("add_tokens", "add_special_tokens"):  # entries of earlier versions do not name them
            added = list(settings["tokenizer"].pop(name))
            settings["tokenizer"] |= {name: added} if added else {}
        for name in ("further", "optional", "further_only"):  # they follow from the objective
            del settings["layout"][name]
        return settings

    def ingredients(self) -> dict[str, Any]:
        """What decides the entry besides the corpus and `settings`."""
        pretrained = load_pretrained(self.tokenizer.path or "") if self.tokenizer.kind == "pretrained" else None
        found: dict[str, Any] = {
            "format": FORMAT,
            "pretrained": fingerprint(pretrained) if pretrained else None,
            "versions": {name: version(name) for name in ("tokenizers", "transformers")},
        }
        if pretrained and self.objective.uses_chat_template:
            found["chat_template"] = pretrained.chat_template
        objective = self.objective.settings()
        # Entries of versions that knew next-token prediction alone do not name it.
        return found if objective == Causal().settings() else found | {"objective": objective}


@dataclass(frozen=True)
class CorpusRecipe(TextRecipe):
    """All that decides what is prepared of a corpus, but the corpus."""

    validation_fraction: float = 0.1
    seed: int = 0

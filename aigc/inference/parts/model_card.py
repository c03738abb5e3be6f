"""A model card: README.md of an exported model, written from the run's config and manifest.

It holds no folders of the machine, no names of hosts or people, and no secrets. Its head is the YAML that the Hub reads
(https://huggingface.co/docs/hub/model-cards).
"""

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex
import yaml

from aigc import __version__
from aigc.errors import InputError
from aigc.inference.parts.lineage import HUB_NAME, Base, base_of
from aigc.inference.parts.private_paths import without_folders
from aigc.runs import Run, metrics_file
from aigc.runs.table import MEASURES, main_metrics

CARD = "README.md"
_LICENCE = ("license", "license_name", "license_link")
_HUB_DATA = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?", re.ASCII)
"""A data set's name; some old ones have no owner."""
_PACKAGES = ("torch", "transformers", "tokenizers", "pytorch-lightning", "peft")
_SCRIPTS = {"zh": r"\p{Han}", "ja": r"[\p{Hiragana}\p{Katakana}]", "ko": r"\p{Hangul}", "ru": r"\p{Cyrillic}"}
_ENGLISH = regex.compile(r"\b(?:the|of|and|to|in|is|a)\b", regex.IGNORECASE)
_WORD = regex.compile(r"\b\p{Latin}+\b")


@dataclass(frozen=True)
class Described:
    """What a card says of the weights beside the run that they are from."""

    kind: str
    """The class of the model in Transformers, or that of the adapter."""
    parameters: int
    usage: str
    """How the model is loaded, in Markdown."""
    pipeline: str | None = None
    """The Hub's name of what the model does, such as `text-generation`; None lets the Hub find it."""
    step: int | None = None
    """The step of the checkpoint; None for the model that the finished run left."""
    library: str = "transformers"
    """The library that loads it; `peft` where it is an adapter alone."""


def write_card(run: Run, described: Described, folder: Path) -> None:
    """Write the card of a run's model into a folder."""
    (folder / CARD).write_text(model_card(run, described), encoding="utf-8")


def model_card(run: Run, described: Described) -> str:
    """Return the card of a run's model, in Markdown."""
    base, manifest = base_of(run), _manifest(run)
    parts = [
        f"# {run.id}",
        f"{_what(described, base)}, trained with aigc {__version__}.",
        "## Use",
        described.usage,
        "## Training",
        _table(("", ""), _training(run, manifest, described.step)),
    ]
    if scores := list(_scores(run, manifest, described.step)):
        parts += ["## Scores", "On the held-out data of the run.", _table(("score", "value", "signature"), scores)]
    parts += ["## Licence", _licence(base)]
    head = yaml.safe_dump(_head(run, base, described), allow_unicode=True, sort_keys=False)
    return f"---\n{head}---\n\n" + "\n\n".join(parts) + "\n"


def _head(run: Run, base: Base, described: Described) -> dict[str, Any]:
    """Return the metadata; a key whose value is not known is left out."""
    path = str((run.config.get("data") or {}).get("path") or "")
    head = {
        "library_name": described.library,
        "pipeline_tag": described.pipeline,
        **{name: base.card.get(name) for name in _LICENCE},
        "base_model": base.hub,
        "language": _languages(run, base),
        "datasets": _on_hub(path, _manifest(run).get("cwd")),
        "tags": ["aigc"],
    }
    return {name: value for name, value in head.items() if value}


def _what(described: Described, base: Base) -> str:
    model = f"A `{described.kind}` of {described.parameters:,} parameters"
    if described.library == "peft":
        return f"{model}, an adapter of {_link(base)}"
    return f"{model} that began with {f'the weights of {_link(base)}' if base.name else 'random weights'}"


def _link(base: Base) -> str:
    if base.derived:
        return f"a model derived from [{base.hub}](https://huggingface.co/{base.hub})"
    return f"[{base.hub}](https://huggingface.co/{base.hub})" if base.hub == base.name else str(base.name)


def _training(run: Run, manifest: Mapping[str, Any], step: int | None) -> Iterator[tuple[str, ...]]:
    result, attempts = manifest.get("result") or {}, manifest.get("attempts") or []
    taken = attempts[-1].get("to_step") if attempts else None
    kept = step if step is not None else result.get("best_step") or taken
    path = (run.config.get("data") or {}).get("path")
    versions = manifest.get("packages") or {}
    packages = {name: versions[name] for name in _PACKAGES if versions.get(name)}
    rows = {
        "command": f"`{_command(manifest.get('command') or [])}`" if manifest.get("command") else None,
        "data": without_folders(str(path)) if path else None,
        "fingerprint of the data": manifest.get("data_fingerprint"),
        "weights of step": f"{kept} of {taken}" if kept is not None else None,
        "adapter": _adapter(run),
        "seed": manifest.get("seed"),
        "precision": manifest.get("precision"),
        "packages": ", ".join(f"{name} {version}" for name, version in packages.items()) or None,
        "Python": manifest.get("python"),
    }
    return ((name, str(value)) for name, value in rows.items() if value is not None)


def _adapter(run: Run) -> str | None:
    """Return the class of the adapter that was trained, and its settings."""
    node = dict((run.config.get("model") or {}).get("adapter") or {})
    name = str(node.pop("_target_", "")).rpartition(".")[2]
    return f"`{name}` {', '.join(f'{key}={value}' for key, value in node.items())}" if name else None


def _command(arguments: Sequence[str]) -> str:
    return shlex.join(map(without_folders, arguments)).replace("`", "'")


def _scores(run: Run, manifest: Mapping[str, Any], step: int | None) -> Iterator[tuple[str, ...]]:
    """Yield name, value and signature of each score of these weights."""
    values, signatures = manifest.get("metrics") or {}, manifest.get("signatures") or {}
    if step is not None:
        rows = [row for row in metrics_file.read(run.path / "metrics.jsonl") if row["step"] == step]
        values = rows[-1] if rows else {}
    scores = {name: value for name, value in values.items() if name.startswith("val/") and math.isfinite(value)}
    for name, value in main_metrics(scores, len(scores)).items():
        shown = f"`{signatures[name]}`" if name in signatures else ""
        yield MEASURES.get(name, name.removeprefix("val/")), f"{value:.6g}", shown


def _licence(base: Base) -> str:
    if base.name is None:
        return "The weights began at random. Their licence is for those who trained them to choose."
    if named := base.card.get("license_name") or base.card.get("license"):
        return f"The base model, {_link(base)}, has the licence `{named}`, which holds for this model as well."
    return f"The licence of the base model, {_link(base)}, holds for this model as well; its card did not name it."


def _languages(run: Run, base: Base) -> list[str]:
    """Return the codes of the languages of the held-out texts, and those that the base model knew."""
    known = base.card.get("language") or []
    return list(dict.fromkeys([*_written_in(run), *([known] if isinstance(known, str) else known)]))


def _written_in(run: Run) -> list[str]:
    """Return the languages of the texts that the run was measured on, by their script; empty where it is not clear."""
    files = sorted(run.samples.glob("step-*.jsonl")) if run.samples.is_dir() else []
    try:
        rows = [json.loads(line) for line in files[-1].read_text(encoding="utf-8").splitlines()] if files else []
    except (OSError, ValueError):
        return []
    text = " ".join(str(row.get("reference", "")) for row in rows if isinstance(row, dict))
    counts = Counter({code: len(regex.findall(pattern, text)) for code, pattern in _SCRIPTS.items()})
    letters = len(regex.findall(r"\p{L}", text)) or 1
    if counts["ja"] * 10 > letters:
        counts["zh"] = 0  # Japanese is written with Han characters as well
    found = [code for code, count in counts.most_common() if count * 5 > letters]
    words = len(_WORD.findall(text))
    return found + (["en"] if words and len(_ENGLISH.findall(text)) * 10 > words else [])


def _on_hub(path: str, cwd: str | None) -> list[str]:
    """Return the name of a data set on the Hub; empty for one that lies on this machine.

    Without `hub:`, it is a name of two parts that is nothing in the folder where the run began.
    """
    name = path.removeprefix("hub:").partition("@")[0]
    if cwd is None or (Path(cwd) / name).exists():
        return []
    known = _HUB_DATA if path.startswith("hub:") else HUB_NAME
    return [name] if known.fullmatch(name) else []


def _manifest(run: Run) -> dict[str, Any]:
    try:
        return run.manifest
    except InputError:  # damaged: the weights are compared all the same
        return {}


def _table(head: Sequence[str], rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
    )

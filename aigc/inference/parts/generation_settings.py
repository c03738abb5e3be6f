"""What makes other tools generate as a run did: sampling settings in generation_config.json, the start token."""

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from tokenizers.processors import Sequence, TemplateProcessing

from aigc.data.text.tokenizer import END
from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.runs import Run

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


def sampling_of(run: Run) -> Sampling | None:
    """Return the settings that a run generated and was measured with; None where no evaluation has any."""
    known = {one.name for one in fields(Sampling)}
    evaluations: Any = OmegaConf.to_container(run.config).get("evaluation") or {}  # type: ignore[union-attr]
    for node in evaluations.values():
        settings = node.get("sampling") if isinstance(node, dict) else None
        if isinstance(settings, dict):
            try:
                return Sampling(**{name: value for name, value in settings.items() if name in known})
            except InputError:  # of an earlier version
                return None
    return None


def set_defaults(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", sampling: Sampling) -> None:
    """Make the settings, and the tokens that are never written, defaults of the model's `generate`.

    Texts that end a completion are left out: with them, `generate` of Transformers asks for the tokenizer.
    """
    from aigc.generation.configuration import configuration

    one = replace(sampling, num_samples=1)
    model.generation_config = configuration(model, tokenizer, one, sampling.max_new_tokens)
    ends = model.generation_config.eos_token_id
    model.generation_config.eos_token_id = ends[0] if len(ends) == 1 else ends
    if tokenizer.pad_token_id is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id


def starts_texts(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Return whether a tokenizer begins each text with its start token by itself; true where it has none."""
    start = tokenizer.bos_token_id
    return start is None or tokenizer("a")["input_ids"][:1] == [start]


def add_start(tokenizer: "PreTrainedTokenizerFast") -> None:
    """Let a tokenizer that was trained here begin each text with its start token, as prompts do.

    One that came with a model stays as it is: llama.cpp knows it by the ids that it gives.
    """
    if tokenizer.eos_token != END or starts_texts(tokenizer):
        return
    start = tokenizer.bos_token
    single, pair = f"{start}:0 $A:0", f"{start}:0 $A:0 {start}:1 $B:1"
    added = TemplateProcessing(single=single, pair=pair, special_tokens=[(start, tokenizer.bos_token_id)])
    backend = tokenizer.backend_tokenizer
    backend.post_processor = Sequence([backend.post_processor, added]) if backend.post_processor else added


def name_context(config: Any) -> None:
    """Name the context of GPT-2 as llama.cpp's converter reads it, which Transformers 5 no longer writes."""
    if config.model_type == "gpt2":
        config.n_ctx = config.n_positions

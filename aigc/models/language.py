"""Causal language models from Transformers: by name, by folder, or from a configuration with random weights."""

import copy
from pathlib import Path
from typing import Any, Self

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from aigc.config.problems import ConfigError, Problem, suggest
from aigc.errors import InputError
from aigc.models.base import ModelFactory

ATTENTION = "sdpa"
"""It takes a boolean mask, which keeps packed documents apart; eager attention would add the mask to the scores."""


class TransformersCausalLM(ModelFactory):
    """A causal language model of the Transformers library, in float32.

    Args:
        architecture: Transformers' model type (gpt2, llama, qwen3 ...) for random weights; not with path.
        path: Folder or hub name of pretrained weights; not with architecture.
        settings: What the architecture's configuration class takes (n_layer, hidden_size ...).
    """

    def __init__(
        self,
        architecture: str | None = None,
        path: str | None = None,
        settings: dict[str, Any] | None = None,
    ):
        if (architecture is None) == (path is None):
            raise ConfigError(
                [Problem("model", "give either architecture (random weights) or path (pretrained weights)")]
            )
        self.architecture = architecture
        self.path = path
        self.settings = settings or {}

    def create(self, data: Any) -> PreTrainedModel:
        """The model, its vocabulary and special tokens taken from `data.tokenizer`.

        Raises:
            InputError: The weights cannot be found, or the data are no texts.
            ConfigError: An unknown architecture or setting.
        """
        if getattr(data, "tokenizer", None) is None:
            raise InputError(f"model: a language model learns from texts, and {type(data).__name__} holds none")
        model = self._pretrained() if self.path else self._random(data)
        rows = model.get_input_embeddings().num_embeddings
        if len(data.tokenizer) > rows:
            model.resize_token_embeddings(len(data.tokenizer))  # new rows start at the mean of the old ones
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            value = getattr(data.tokenizer, name)
            setattr(model.config, name, value)
            setattr(model.generation_config, name, value)
        context = context_length(model)
        if context is not None and data.sequence_length > context:
            what = f"{data.sequence_length} is longer than the model's context of {context} tokens"
            raise ConfigError([Problem("data.sequence_length", what)])
        return model

    def from_folder(self, folder: Path) -> Self:
        """Return a factory that reads weights and configuration from a folder in Transformers' layout."""
        return type(self)(path=str(folder))

    def _random(self, data: Any) -> PreTrainedModel:
        sizes = {"vocab_size": len(data.tokenizer), "max_position_embeddings": data.sequence_length}
        ids = {f"{kind}_token_id": getattr(data.tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
        try:
            defaults = AutoConfig.for_model(self.architecture, **ids)
        except ValueError as error:
            what = f"no architecture {self.architecture!r}; {suggest(str(self.architecture), _architectures())}"
            raise ConfigError([Problem("model.architecture", what)]) from error
        self._check_settings(defaults)
        alias = defaults.attribute_map  # GPT-2 calls max_position_embeddings n_positions, say: one name for each
        values = {alias.get(name, name): value for name, value in {**ids, **sizes, **self.settings}.items()}
        config = AutoConfig.for_model(self.architecture, **values)
        try:
            return AutoModelForCausalLM.from_config(config, attn_implementation=ATTENTION, dtype=torch.float32)
        except (ValueError, TypeError, AssertionError) as error:
            raise ConfigError([Problem("model.settings", f"{self.architecture} refuses this: {error}")]) from error

    def _pretrained(self) -> PreTrainedModel:
        try:
            config = AutoConfig.from_pretrained(self.path, trust_remote_code=False)
            self._check_settings(config)
            config = copy.deepcopy(config)
            config.update(self.settings)
            return AutoModelForCausalLM.from_pretrained(
                self.path, config=config, trust_remote_code=False, attn_implementation=ATTENTION, dtype=torch.float32
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            what = f"model.path={self.path}: no folder with weights, nor a model that the hub gives now: {reason}"
            raise InputError(what) from error

    def _check_settings(self, config: Any) -> None:
        known = [*config.to_dict(), *config.attribute_map]
        problems = [
            Problem(f"model.settings.{name}", f"{type(config).__name__} has no {name!r}; {suggest(name, known)}")
            for name in self.settings
            if name not in known
        ]
        if problems:
            raise ConfigError(problems)


def context_length(model: PreTrainedModel) -> int | None:
    """The most tokens that the model can see at once; None when its configuration names no limit."""
    limit = getattr(model.config, "max_position_embeddings", None)
    return int(limit) if limit else None


def _architectures() -> list[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

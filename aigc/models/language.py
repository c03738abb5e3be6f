"""Language models from Transformers: by name, by folder, or from a configuration with random weights."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import torch
import transformers
from transformers import GgufConfig, PreTrainedModel

from aigc.config import build
from aigc.config.problems import ConfigError, Problem, suggest
from aigc.config.types import Slot
from aigc.errors import InputError
from aigc.models.adapters.base import Adapter, attach
from aigc.models.attention import Attention, check_attention, loaded_with
from aigc.models.base import ModelFactory
from aigc.models.configuration import (
    of_architecture,
    of_weights,
    reading,
    refusing,
    set_settings,
    with_values,
)
from aigc.models.context import WITHOUT_ADAPTER, WITHOUT_WEIGHTS
from aigc.models.dtypes import Dtype
from aigc.models.embeddings import fit_embeddings, token_count
from aigc.models.end_tokens import set_end_tokens, set_special_tokens
from aigc.models.fit import check_adapter, check_added, check_rows, check_state, check_virtual, isolate_documents
from aigc.models.gguf_files import gguf_file
from aigc.models.pretrained import is_adapter, loading_from, local_folder, weights_problem
from aigc.models.quantised import Quantised, keep_as_loaded, loaded_as


class TransformersModel(ModelFactory):
    """A language model of the Transformers library.

    Args:
        head: What follows `AutoModelFor` in the name of a class of Transformers: CausalLM, MaskedLM, Seq2SeqLM,
            SequenceClassification, TokenClassification ...
        architecture: Transformers' model type (gpt2, llama, bert ...) for random weights; not with path.
        path: Pretrained weights: a folder, a name on the Hub, a GGUF file, or `run:RUN`, the model of another run; not
            with architecture.
        settings: What the architecture's configuration class takes (n_layer, hidden_size, num_labels ...).
        adapter: A `_target_` node of an adapter, which freezes the pretrained weights and trains few others.
        dtype: Of the weights; bfloat16 where an adapter leaves them frozen or the optimiser rounds stochastically,
            float16 where an adapter leaves them frozen.
        attention: The implementation; auto is the fastest that the device has: flash attention where it is installed,
            flex attention on another GPU, SDPA elsewhere.
        quantised: Hold the frozen weights under an adapter in 4 bits (4bit, NF4) or in 8 (8bit), by bitsandbytes.
    """

    makes = "language models"
    often_changed: ClassVar = ("path",)
    early_checks: ClassVar = {
        "path": "aigc.models.pretrained.check_weights",
        "quantised": "aigc.models.quantised.check_quantised",
    }
    fits_data: ClassVar = "aigc.models.context.context_problems"
    fits_optimizer: ClassVar = "aigc.models.dtypes.optimizer_problems"

    def __init__(
        self,
        head: str = "CausalLM",
        architecture: str | None = None,
        path: str | None = None,
        settings: dict[str, Any] | None = None,
        adapter: Annotated[dict[str, Any] | None, Slot("aigc.models.adapters.base.Adapter")] = None,
        dtype: Dtype = "float32",
        attention: Attention = "auto",
        quantised: Quantised | None = None,
    ):
        if path is not None and not path.strip():
            raise InputError("the path is empty; name a folder or a model on the Hub")
        self.head = head
        self.architecture = architecture
        self.path = path
        self.settings = settings or {}
        self.adapter = adapter
        self.dtype = dtype
        self.attention = attention
        self.quantised = quantised
        self._is_trained = True
        if problems := self._problems():
            raise ConfigError(problems)
        if self.architecture or (self.folder and not weights_problem(str(self.path))):
            set_settings(self._configuration(), self.settings)

    def _configuration(self) -> Any:
        """Return the architecture's configuration with its defaults, or that of the pretrained weights."""
        return of_weights(self.path) if self.path else of_architecture(str(self.architecture), self._architectures())

    def _problems(self) -> list[Problem]:
        found = []
        if (self.architecture is None) == (self.path is None):
            what = "give either architecture (random weights) or path (pretrained weights)"
            found.append(Problem("model", what))
        if self._auto_class is None:
            what = f"Transformers has no AutoModelFor{self.head}; {suggest(self.head, _heads())}"
            found.append(Problem("model.head", what))
        if self.adapter is not None and self.path is None:
            found.append(Problem("model.adapter", WITHOUT_WEIGHTS))
        if self.quantised and self.adapter is None:
            found.append(Problem("model.quantised", WITHOUT_ADAPTER))
        if self.head == "CausalLM" and self.settings.get("output_router_logits"):
            what = "the loss that balances the experts is not part of the loss; leave it out"
            found.append(Problem("model.settings.output_router_logits", what))
        if self.quantised and self.path and gguf_file(self.path):
            what = "the weights of a GGUF file are read as whole ones; name a folder, or set it to null"
            found.append(Problem("model.quantised", what))
        return found

    @property
    def _auto_class(self) -> Any:
        return getattr(transformers, f"AutoModelFor{self.head}", None)

    def create(self, data: Any) -> PreTrainedModel:
        """Create the model; vocabulary and special tokens are those of `data.tokenizer`.

        Raises:
            InputError: The weights cannot be found, or the data contain no texts.
            ConfigError: An unknown architecture or setting.
        """
        if getattr(data, "tokenizer", None) is None:
            raise InputError(f"model: a language model learns from texts, and {type(data).__name__} contains none")
        model = self.read() if self.path else self._random(data)
        model.aigc_path = self.path
        model.aigc_added_tokens = fit_embeddings(model, data.tokenizer, self.path)
        set_end_tokens(model, data.tokenizer, self.path, getattr(data, "end_ids", ()))
        set_special_tokens(model, data.tokenizer)
        check_rows(model.config, data)
        check_attention(model, self.attention)
        model.aigc_attention = self.attention
        if self.head == "CausalLM":
            with refusing(self.architecture):
                isolate_documents(model, data)
        if (adapter := self._adapter()) is not None:
            check_adapter(adapter, model, data, self.quantised)
            check_added(adapter, model.aigc_added_tokens)
            attach(adapter, model)
        return model

    def _adapter(self) -> Adapter | None:
        return None if self.adapter is None else build(self.adapter, Adapter, "model.adapter")

    @property
    def folder(self) -> Path | None:
        """The folder of pretrained weights, if they lie in one."""
        return local_folder(self.path) if self.path else None

    def check_data(self, data: Any) -> None:
        """Check that the weights have a configuration, that the head is one for it, and that it takes such data.

        Raises:
            InputError: The weights are not there, or there is no such head for them.
            ConfigError: A setting is refused, or the rows of the data are too long, or the adapter does not fit.
        """
        length = getattr(data, "sequence_length", None)
        if self.path:
            config = self._configuration()
            set_settings(config, self.settings)
        else:
            values = {} if length is None else {"max_position_embeddings": length}
            config = with_values(str(self.architecture), values | self.settings)
        if type(config) not in self._auto_class._model_mapping:
            what = f"Transformers has no AutoModelFor{self.head} for {config.model_type}, the type of this model"
            raise ConfigError([Problem("model.path" if self.path else "model.architecture", what)])
        check_rows(config, data)
        if self._is_trained:
            check_virtual(config)
        # Its layers without their weights; a model that computes with its weights here is left to `create`.
        with suppress(RuntimeError), torch.device("meta"):
            empty = self._empty(config)
            if self.head == "CausalLM":
                check_state(empty, data)
            if (adapter := self._adapter()) is not None:
                check_adapter(adapter, empty, data, self.quantised)

    def from_folder(self, folder: Path) -> Self:
        """Return a factory that reads weights and configuration from a folder in the layout of Transformers."""
        fresh = copy.copy(self)
        fresh.architecture, fresh.path, fresh.settings = None, str(folder), {}
        fresh.adapter, fresh.dtype = None, "float32"  # merged in model/, or when it is read
        fresh._is_trained = False
        fresh.quantised = None
        fresh.attention = "eager" if self.attention == "eager" else "auto"  # it may be read where there is no GPU
        return fresh

    def _random(self, data: Any) -> PreTrainedModel:
        sizes = {"vocab_size": token_count(data.tokenizer), "max_position_embeddings": data.sequence_length}
        ids = {f"{kind}_token_id": getattr(data.tokenizer, f"{kind}_token_id") for kind in ("bos", "eos", "pad")}
        return self._empty(with_values(str(self.architecture), {**ids, **sizes, **self.settings}))

    def _empty(self, config: Any) -> PreTrainedModel:
        """Return a model with random weights."""
        with refusing(self.architecture):
            model: PreTrainedModel = self._auto_class.from_config(config, **self._loading())
        return model

    def read(self) -> PreTrainedModel:
        """Read the weights of `path` as they are; those of an adapter alone are merged with its base model.

        Raises:
            InputError: They cannot be read.
            ConfigError: A setting is refused.
        """
        if (folder := self.folder) and is_adapter(folder):
            from aigc.models.adapters.apart import load_apart  # PEFT takes seconds to import

            return load_apart(folder, self._read_base, getattr(torch, self.dtype))
        config = self._configuration()
        set_settings(config, self.settings)
        return self._weights(config)

    def _read_base(self, named: Mapping[str, Any], config: Any) -> PreTrainedModel:
        base = copy.copy(self)
        base.path, base.dtype, base.quantised = named["path"], named["dtype"], named["quantised"]
        if (folder := base.folder) and is_adapter(folder):
            return base.read()
        config.vocab_size = base._configuration().vocab_size
        return base._weights(config)

    def _weights(self, config: Any) -> PreTrainedModel:
        path = str(self.path)
        settings = self._loading() | (loaded_as(self.quantised, self.dtype) if self.quantised else {})
        settings |= {"quantization_config": GgufConfig(dequantize=True)} if gguf_file(path) else {}
        with reading(path):
            model: PreTrainedModel = self._auto_class.from_pretrained(
                **loading_from(path), config=config, trust_remote_code=False, **settings
            )
        if self.quantised:
            keep_as_loaded(model)
        return model.train()  # Transformers returns it in evaluation mode, without dropout, and Lightning keeps that

    def _loading(self) -> dict[str, Any]:
        return {"attn_implementation": loaded_with(self.attention), "dtype": getattr(torch, self.dtype)}

    def _architectures(self) -> list[str]:
        return list(self._auto_class._model_mapping._model_mapping)


class TransformersCausalLM(TransformersModel):
    """A causal language model of the Transformers library.

    Args:
        architecture: Transformers' model type (gpt2, llama, qwen3 ...) for random weights; not with path.
        path: Pretrained weights: a folder, a name on the Hub, a GGUF file, or `run:RUN`, the model of another run; not
            with architecture.
        settings: What the architecture's configuration class takes (n_layer, hidden_size ...).
        adapter: A `_target_` node of an adapter, which freezes the pretrained weights and trains few others.
        dtype: Of the weights; bfloat16 where an adapter leaves them frozen or the optimiser rounds stochastically,
            float16 where an adapter leaves them frozen.
        attention: The implementation; auto is the fastest that the device has and that keeps packed documents apart:
            flash attention where it is installed, flex attention on another GPU, SDPA elsewhere.
        quantised: Hold the frozen weights under an adapter in 4 bits (4bit, NF4) or in 8 (8bit), by bitsandbytes.
    """

    def __init__(
        self,
        architecture: str | None = None,
        path: str | None = None,
        settings: dict[str, Any] | None = None,
        adapter: Annotated[dict[str, Any] | None, Slot("aigc.models.adapters.base.Adapter")] = None,
        dtype: Dtype = "float32",
        attention: Attention = "auto",
        quantised: Quantised | None = None,
    ):
        super().__init__("CausalLM", architecture, path, settings, adapter, dtype, attention, quantised)


def _heads() -> list[str]:
    prefix = "AutoModelFor"
    return [name.removeprefix(prefix) for name in dir(transformers) if name.startswith(prefix)]

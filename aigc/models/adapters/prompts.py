"""Trained virtual tokens before each text: prompt tuning and prefix tuning."""

from typing import Annotated, Any, Literal

from peft import PeftConfig, PrefixTuningConfig, PromptTuningConfig
from torch import nn
from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound
from aigc.errors import InputError
from aigc.models.adapters.peft import PeftAdapter, wrapper_of
from aigc.models.adapters.virtual_tokens import prepend
from aigc.models.context import context_length


class _VirtualTokens(PeftAdapter):
    """Trained virtual tokens; a finished run leaves them alone, as no weights of the base model compute the same."""

    mergeable = False

    def __init__(self, num_virtual_tokens: int) -> None:
        super().__init__(merge=False)
        self.num_virtual_tokens = num_virtual_tokens

    def check(self, model: nn.Module, data: Any) -> None:
        """Check that rows hold one text each, with room for the virtual tokens; see `Adapter.check`."""
        problems = []
        config: Any = model.config
        if getattr(data, "packs", False):
            what = f"rows of several documents cannot begin with the virtual tokens of {type(self).__name__}; set false"
            problems.append(Problem("data.packing", what))
        context, length = context_length(config), getattr(data, "sequence_length", 0)
        if context is not None and length + self.num_virtual_tokens > context:
            what = (
                f"{self.num_virtual_tokens} and rows of {length} (data.sequence_length) are longer than the model's "
                f"context of {context} tokens; set it to {max(context - length, 0)} at most, or make the rows shorter"
            )
            problems.append(Problem("model.adapter.num_virtual_tokens", what))
        if not isinstance(model, PreTrainedModel) or not model.can_generate() or config.is_encoder_decoder:
            what = f"{type(self).__name__} is for causal language models, and this is a {type(model).__name__}"
            problems.append(Problem("model.adapter", what))
        if problems:
            raise ConfigError(problems)

    def quantised_problem(self, kind: str) -> str | None:
        """Return None, as no layer is changed; see `Adapter.quantised_problem`."""
        return None

    def apply(self, model: nn.Module) -> None:
        """Let the network begin with virtual tokens; see `Adapter.apply`."""
        super().apply(model)
        assert isinstance(model, PreTrainedModel)
        prepend(model, wrapper_of(model))

    def merge(self, model: nn.Module) -> None:
        """Raise InputError: the virtual tokens are no weights of the network."""
        raise InputError(f"{type(self).__name__} cannot be merged into the weights of its base model")


class PromptTuning(_VirtualTokens):
    """Trained embeddings before each text (Lester et al., 2021), by PEFT.

    Args:
        num_virtual_tokens: Their number.
        init: How they begin: as embeddings of tokens drawn from the vocabulary, or from a normal distribution.
    """

    def __init__(
        self,
        num_virtual_tokens: Annotated[int, Bound(1)] = 20,
        init: Literal["vocabulary", "normal"] = "vocabulary",
    ) -> None:
        super().__init__(num_virtual_tokens)
        self.init = init

    def settings(self, model: nn.Module) -> PeftConfig:
        """Return the configuration; see `PeftAdapter.settings`."""
        init = "SAMPLE_VOCAB" if self.init == "vocabulary" else "RANDOM"
        return PromptTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=self.num_virtual_tokens, prompt_tuning_init=init
        )


class PrefixTuning(_VirtualTokens):
    """Trained keys and values before each text in each layer (Li and Liang, 2021), by PEFT.

    Args:
        num_virtual_tokens: Their number.
        projection: Whether they come from a network of two layers, which is left out when the run is finished.
        encoder_hidden_size: Width of that network; null takes the model's.
    """

    recomputes = False

    def __init__(
        self,
        num_virtual_tokens: Annotated[int, Bound(1)] = 20,
        projection: bool = False,
        encoder_hidden_size: Annotated[int, Bound(1)] | None = None,
    ) -> None:
        super().__init__(num_virtual_tokens)
        self.projection, self.encoder_hidden_size = projection, encoder_hidden_size

    def check(self, model: nn.Module, data: Any) -> None:
        """Check that all layers see the whole text; see `Adapter.check`."""
        super().check(model, data)
        config: Any = model.config
        text = config.get_text_config()
        if any("sliding" in str(kind) or "chunked" in str(kind) for kind in getattr(text, "layer_types", None) or ()):
            what = "layers with a sliding window forget the virtual tokens of PrefixTuning; choose another adapter"
            raise ConfigError([Problem("model.adapter", what)])

    def settings(self, model: nn.Module) -> PeftConfig:
        """Return the configuration; see `PeftAdapter.settings`."""
        config: Any = model.config
        return PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=self.num_virtual_tokens,
            prefix_projection=self.projection,
            encoder_hidden_size=self.encoder_hidden_size or config.get_text_config().hidden_size,
        )

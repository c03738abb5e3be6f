"""Low-rank adaptation."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from peft import LoraConfig, PeftConfig
from torch import Tensor, nn
from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.config.types import Bound
from aigc.models.adapters.peft import LayerAdapter
from aigc.models.adapters.residual import as_difference, keep_initial_factors
from aigc.models.adapters.targets import ALL_LINEAR, is_named, is_target, linear_kinds
from aigc.printing import plural

_FROM_WEIGHTS = ("pissa", "pissa_niter_4", "pissa_niter_16")
"""Ways to begin that take a part out of the frozen weights."""


class LoRA(LayerAdapter):
    """Low-rank updates of layers (Hu et al., 2021), by PEFT.

    Args:
        rank: Rank of each update.
        alpha: The updates are multiplied by alpha / rank, or by alpha / sqrt(rank) with use_rslora.
        dropout: Probability with which an input of the updates is set to zero.
        target_modules: `all-linear`, which leaves out the output layer; a list of names, or ends of names, of layers;
            or a regular expression of whole names.
        modules_to_save: Names, or ends of names, of modules that are trained whole.
        use_rslora: Scale by the square root of the rank (Kalajdzievski, 2023).
        use_dora: Learn the magnitude of each weight vector apart (Liu et al., 2024).
        init: How the factors begin: as PEFT does (default), from a normal distribution (gaussian), orthogonal, or as
            the principal components of the weights (pissa; Meng et al., 2024; niter computes them faster).
        b_lr_ratio: Learning rate of the second factor relative to that of the first (LoRA+; Hayou et al., 2024).
        merge: Whether a finished run leaves merged weights in model/, or the adapter alone in PEFT's layout (false).
    """

    kinds = (*linear_kinds(), nn.Embedding)
    trains_added_tokens = True

    def __init__(
        self,
        rank: Annotated[int, Bound(1)] = 16,
        alpha: Annotated[float, Bound(0)] = 32,
        dropout: Annotated[float, Bound(0, 1)] = 0.0,
        target_modules: str | Sequence[str] = ALL_LINEAR,
        modules_to_save: Sequence[str] = (),
        use_rslora: bool = False,
        use_dora: bool = False,
        init: Literal["default", "gaussian", "orthogonal", "pissa", "pissa_niter_4", "pissa_niter_16"] = "default",
        b_lr_ratio: Annotated[float, Bound(0)] = 1.0,
        merge: bool = True,
    ) -> None:
        super().__init__(target_modules, modules_to_save, merge)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.use_rslora, self.use_dora, self.init = use_rslora, use_dora, init
        self.rates = {} if b_lr_ratio == 1 else {"*.lora_*B.*": b_lr_ratio}

    def settings(self, model: nn.Module) -> PeftConfig:
        """Return the configuration; see `PeftAdapter.settings`."""
        init: Any = True if self.init == "default" else self.init
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=self.targets(model),
            modules_to_save=self.modules_to_save or None,
            use_rslora=self.use_rslora,
            use_dora=self.use_dora,
            init_lora_weights=init,
            trainable_token_indices=self._added_rows(model),
        )

    def apply(self, model: nn.Module) -> None:
        """Add the factors; see `Adapter.apply`."""
        if self.init not in _FROM_WEIGHTS:
            super().apply(model)
            return
        with torch.random.fork_rng(devices=[]):  # so that the part that is taken out is the same each time
            torch.manual_seed(0)
            super().apply(model)
        keep_initial_factors(model)

    def exported(self, model: nn.Module, weights: dict[str, Tensor]) -> tuple[PeftConfig, dict[str, Tensor]]:
        """Return factors whose product is the whole update, of twice the rank where a part was taken out."""
        config, weights = super().exported(model, weights)
        if self.init not in _FROM_WEIGHTS:
            return config, weights
        grown: Any = config
        grown.init_lora_weights, grown.r = True, 2 * self.rank
        grown.lora_alpha = self.alpha * (2**0.5 if self.use_rslora else 2)  # so that the scale is what it was
        return grown, as_difference(model, weights)

    def quantised_problem(self, kind: str) -> str | None:
        """Return why it cannot be put on such weights; see `Adapter.quantised_problem`."""
        if self.init in _FROM_WEIGHTS:
            return f"init={self.init} takes a part out of the weights, which {kind} ones do not allow; set it to null"
        return "DoRA is not for weights in 8 bits; set it to 4bit or null" if self.use_dora and kind == "8bit" else None

    def saved(self, model: nn.Module) -> set[str]:
        """Add the factors that were taken out of the frozen weights; see `Adapter.saved`."""
        initial = {name for name, _ in model.named_buffers() if name.endswith((".initial_A", ".initial_B"))}
        return super().saved(model) | initial

    def _added_rows(self, model: nn.Module) -> dict[str, list[int]] | None:
        """Return the rows that are trained whole, by the names of the layers, as PEFT takes them; None without any.

        Raises:
            ConfigError: A layer that has such rows is a target as well.
        """
        added = list(getattr(model, "aigc_added_tokens", ()))
        if not added or not isinstance(model, PreTrainedModel):
            return None
        embeddings, output = model.get_input_embeddings(), model.get_output_embeddings()
        tied = getattr(output, "weight", None) is embeddings.weight  # PEFT ties the rows, too
        named = {name: layer for name, layer in model.named_modules() if layer is embeddings or layer is output}
        for name in named:
            if is_target(name, self.targets(model)):
                what = (
                    f"{name} has rows of {plural(len(added), 'added token')}, which are trained whole; leave it out, "
                    "or name it in modules_to_save"
                )
                raise ConfigError([Problem("model.adapter.target_modules", what)])
        rows = {name for name, layer in named.items() if layer is embeddings or not tied}
        rows -= {name for name in named if any(is_named(name, whole) for whole in self.modules_to_save)}
        return dict.fromkeys(sorted(rows), added) or None

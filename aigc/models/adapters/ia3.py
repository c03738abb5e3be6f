"""Learned scales of activations."""

from collections.abc import Sequence

from peft import IA3Config, PeftConfig
from peft.utils.constants import (
    TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD,
)
from peft.utils.constants import (
    TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as TARGETS,
)
from torch import nn

from aigc.config.problems import ConfigError, Problem
from aigc.models.adapters.peft import LayerAdapter
from aigc.models.adapters.targets import is_named
from aigc.models.weights import mark_vector


class IA3(LayerAdapter):
    """Learned scales of keys, values and inner activations (Liu et al., 2022), by PEFT.

    Args:
        target_modules: Names, or ends of names, of layers, or a regular expression of whole names; null takes those of
            the paper where PEFT knows them for the architecture.
        feedforward_modules: Those of them whose inputs, and not outputs, are scaled; null takes those of the paper.
        modules_to_save: Names, or ends of names, of modules that are trained whole.
        merge: Whether a finished run leaves merged weights in model/, or the adapter alone in PEFT's layout (false).
    """

    def __init__(
        self,
        target_modules: str | Sequence[str] | None = None,
        feedforward_modules: Sequence[str] | None = None,
        modules_to_save: Sequence[str] = (),
        merge: bool = True,
    ) -> None:
        super().__init__(target_modules, modules_to_save, merge)
        self.feedforward_modules = feedforward_modules

    def targets(self, model: nn.Module) -> str | list[str]:
        """Return the layers to scale; raises ConfigError where they are not known."""
        if self.target_modules is not None:
            return self.target_modules
        kind = _kind(model)
        if kind not in TARGETS:
            what = f"PEFT knows no layers of the paper for {kind}: give a list of names"
            raise ConfigError([Problem("model.adapter.target_modules", what)])
        return list(TARGETS[kind])

    def apply(self, model: nn.Module) -> None:
        """Add the scales, which weight decay leaves out; see `Adapter.apply`."""
        super().apply(model)
        for name, parameter in model.named_parameters():
            if ".ia3_l." in name:
                mark_vector(parameter)

    def settings(self, model: nn.Module) -> PeftConfig:
        """Return the configuration; see `PeftAdapter.settings`."""
        targets, inner = self.targets(model), self.feedforward_modules
        if inner is None:
            known = FEEDFORWARD.get(_kind(model), [])
            same = [one for one in known if any(is_named(target, one) or is_named(one, target) for target in targets)]
            inner = known if isinstance(targets, str) else same
        return IA3Config(
            target_modules=targets, feedforward_modules=list(inner), modules_to_save=self.modules_to_save or None
        )


def _kind(model: nn.Module) -> str:
    return str(getattr(getattr(model, "config", None), "model_type", ""))

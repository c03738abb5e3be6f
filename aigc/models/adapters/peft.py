"""Adapters of the library PEFT, inside a network of Transformers."""

import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import SAFETENSORS_WEIGHTS_NAME, ModulesToSaveWrapper
from safetensors.torch import save_file
from torch import Tensor, nn

from aigc.config.problems import ConfigError, Problem
from aigc.models.adapters.base import Adapter
from aigc.models.adapters.targets import ALL_LINEAR, linear_kinds, saved_problems, target_problems
from aigc.models.quantised import dequantise, quantised_kind

_WRAPPER = "aigc_peft"
_NAME = "default"


class PeftAdapter(Adapter):
    """An adapter of PEFT; a subclass makes its configuration.

    Args:
        merge: Whether a finished run leaves merged weights in model/, or the adapter alone in PEFT's layout (false).
    """

    def __init__(self, merge: bool = True) -> None:
        self.kept_apart = not merge

    @abstractmethod
    def settings(self, model: nn.Module) -> PeftConfig:
        """Return PEFT's configuration for a network."""

    def apply(self, model: nn.Module) -> None:
        """Put the layers of the adapter around those of the network; see `Adapter.apply`."""
        model.__dict__[_WRAPPER] = put_on(model, self.settings(model))  # not a submodule, as it holds the network

    def merge(self, model: nn.Module) -> None:
        """Merge each layer in float32; see `Adapter.merge`."""
        merge_layers(model, wrapper_of(model))
        del model.__dict__[_WRAPPER]

    def save(self, model: nn.Module, folder: Path) -> None:
        """Write adapter_config.json and adapter_model.safetensors; see `Adapter.save`."""
        wrapper = wrapper_of(model)
        config, weights = self.exported(model, get_peft_model_state_dict(wrapper, save_embedding_layers=False))
        config.inference_mode = True
        config.save_pretrained(str(folder))
        copies = {name: weight.detach().cpu().contiguous().clone() for name, weight in weights.items()}
        save_file(copies, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})

    def exported(self, model: nn.Module, weights: dict[str, Tensor]) -> tuple[PeftConfig, dict[str, Tensor]]:
        """Return PEFT's configuration and weights of the adapter for the base model as it was."""
        return copy(wrapper_of(model).active_peft_config), weights


class LayerAdapter(PeftAdapter):
    """An adapter of PEFT that changes some layers.

    Args:
        target_modules: `all-linear`, which leaves out the output layer; a list of names, or ends of names, of layers;
            or a regular expression of whole names.
        modules_to_save: Names, or ends of names, of modules that are trained whole.
        merge: As of `PeftAdapter`.
    """

    kinds: tuple[type[nn.Module], ...] = linear_kinds()
    """The classes of layers that it can change."""

    def __init__(
        self,
        target_modules: str | Sequence[str] | None = ALL_LINEAR,
        modules_to_save: Sequence[str] = (),
        merge: bool = True,
    ) -> None:
        super().__init__(merge)
        self.target_modules = target_modules if isinstance(target_modules, str | None) else list(target_modules)
        self.modules_to_save = list(modules_to_save)
        if self.target_modules is not None and not self.target_modules:
            what = f"empty; give {ALL_LINEAR}, a list of layers, or a pattern"
            raise ConfigError([Problem("model.adapter.target_modules", what)])

    def targets(self, model: nn.Module) -> str | list[str]:
        """Return the layers to change."""
        return ALL_LINEAR if self.target_modules is None else self.target_modules

    def check(self, model: nn.Module, data: Any) -> None:
        """Check that there are such layers; see `Adapter.check`."""
        problems = [
            *target_problems(model, self.targets(model), self.kinds),
            *saved_problems(model, self.modules_to_save),
        ]
        if problems:
            raise ConfigError(problems)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Leave out warnings of PEFT that ask for nothing to be done."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fan_in_fan_out is set")  # it then sets what is right for the layer
        warnings.filterwarnings("ignore", "All adapters are already merged")
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.* is deprecated")
        yield


def wrapper_of(model: nn.Module) -> PeftModel:
    """Return PEFT's view of a network that has an adapter."""
    found: PeftModel = model.__dict__[_WRAPPER]
    return found


def _dequantised(model: nn.Module, wrapper: PeftModel) -> PeftModel:
    """Put an adapter of quantised weights on the same weights in float32, in place; returns PEFT's view of it."""
    config, weights = copy(wrapper.active_peft_config), get_peft_model_state_dict(wrapper, save_embedding_layers=False)
    wrapper.base_model.unload()
    dequantise(model)
    return put_on(model, config, weights)


def put_on(model: nn.Module, config: PeftConfig, weights: dict[str, Tensor] | None = None) -> PeftModel:
    """Put an adapter on a network in place, its weights in float32 whatever the others are.

    Args:
        model: The network.
        config: PEFT's configuration.
        weights: Those of an adapter, in PEFT's layout; None begins anew.
    """
    with without_warnings():
        try:
            wrapper = get_peft_model(model, config, autocast_adapter_dtype=False)
        except (ValueError, TypeError, AttributeError, NotImplementedError) as error:
            what = f"PEFT cannot put it on this {type(model).__name__}: {' '.join(str(error).split())}"
            raise ConfigError([Problem("model.adapter", what)]) from error
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
        for shared in (getattr(wrapper.base_model, name, {}) for name in ("vera_A", "vera_B")):
            for name in list(shared.keys()):
                shared[name] = shared[name].float()
        if weights is not None:
            set_peft_model_state_dict(wrapper, weights)
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            module.register_forward_pre_hook(_to_trained_type)
            module.register_forward_hook(_to_model_type)
    return wrapper


def _to_trained_type(module: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert what a module that is trained whole, in float32, is given by a network in 16 bits."""
    trained = next(module.modules_to_save[_NAME].parameters()).dtype
    return tuple(one.to(trained) if torch.is_tensor(one) and one.is_floating_point() else one for one in inputs)


def _to_model_type(module: Any, inputs: Any, output: Any) -> Any:
    own = next(module.original_module.parameters()).dtype
    return output.to(own) if torch.is_tensor(output) and output.is_floating_point() else output


def _untie(model: Any) -> None:
    """Give the output layer a weight of its own where one of two layers with a common one is merged alone."""
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    changed = [isinstance(layer, BaseTunerLayer) for layer in layers]  # rows of added tokens are merged into both
    own = [layer.get_base_layer() if is_changed else layer for layer, is_changed in zip(layers, changed, strict=True)]
    embeddings, output = own
    if any(changed) and output is not None and output.weight is embeddings.weight:
        output.weight = nn.Parameter(output.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False
        model.config.get_text_config().tie_word_embeddings = False


def merge_layers(model: nn.Module, wrapper: PeftModel) -> None:
    """Merge an adapter in place: each layer in float32, stored in its own type; weights in 4 or 8 bits in the model's.

    In bfloat16 the sum of weight and update would be rounded twice (peft#1388, unsloth#3091, torchtune#1101).
    """
    dtype: Any = model.dtype if quantised_kind(model) else None
    if dtype is not None:
        wrapper = _dequantised(model, wrapper)
    _untie(model)
    for layer in list(model.modules()):
        if isinstance(layer, BaseTunerLayer):
            types = {name: weight.dtype for name, weight in layer.get_base_layer().named_parameters()}
            layer.get_base_layer().float()
            layer.merge(safe_merge=True)
            for name, weight in layer.get_base_layer().named_parameters():
                weight.data = weight.data.to(types[name])
    for module in model.modules():
        if isinstance(module, ModulesToSaveWrapper):
            own = next(module.original_module.parameters()).dtype
            module.modules_to_save[_NAME].to(own)
    with without_warnings():  # takes out the layers, which are merged, and puts in modules that were trained whole
        wrapper.base_model.merge_and_unload()
    if dtype is not None:
        model.to(dtype)

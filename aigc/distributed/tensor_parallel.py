"""Tensor parallelism: layers of a language model are split over ranks that compute each batch together.

The scheme of Megatron-LM (arXiv:1909.08053): split one matrix by columns, the next by rows, and sum once after both.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import Replicate
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    ParallelStyle,
    RowwiseParallel,
    parallelize_module,
)
from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.printing import plural


class SummedGradient(ParallelStyle):
    """Style of a module with unsplit weights that is applied to a part of the heads: its gradient is summed."""

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        group = device_mesh.get_group()
        held: dict[str, nn.Parameter] = {}

        def swap(module: nn.Module, arguments: Any) -> None:
            for name in list(module._parameters):
                parameter = module._parameters.pop(name)
                assert parameter is not None
                held[name] = parameter
                setattr(module, name, _SumBackward.apply(parameter, group))

        def swap_back(module: nn.Module, arguments: Any, output: Any) -> None:
            for name, parameter in held.items():
                delattr(module, name)
                module._parameters[name] = parameter
            held.clear()

        module.register_forward_pre_hook(swap)
        module.register_forward_hook(swap_back, always_call=True)
        return module


STYLES: dict[str, Callable[[], ParallelStyle]] = {
    "colwise": ColwiseParallel,
    "rowwise": RowwiseParallel,
    "colwise_rep": lambda: ColwiseParallel(output_layouts=Replicate()),
    "colwise_gather_output": lambda: ColwiseParallel(output_layouts=Replicate()),
    "rowwise_rep": lambda: RowwiseParallel(input_layouts=Replicate()),
    "rowwise_split_input": lambda: RowwiseParallel(input_layouts=Replicate()),
    "embedding_rowwise": lambda: RowwiseParallel(input_layouts=Replicate()),
    "replicated_with_grad_allreduce": SummedGradient,
}
"""Parallel styles by their names in the plans of Transformers."""


def split_layers(model: nn.Module, mesh: DeviceMesh) -> None:
    """Split a model in place, by the plan that Transformers has for its architecture.

    Args:
        model: The network; all ranks have the same weights.
        mesh: The one-dimensional device mesh of the ranks that compute together.

    Raises:
        ConfigError: The architecture has no plan or an unsupported one, or sizes are not divisible.
    """
    plan = _plan(model, mesh.size())
    assert isinstance(model, PreTrainedModel)
    given, asked = model.get_input_embeddings(), model.get_output_embeddings()
    tied = asked is not None and asked.weight is given.weight
    split = [name in plan for name, module in model.named_modules() if module is given or module is asked]
    if tied and len(set(split)) > 1:
        what = f"the plan of {type(model).__name__} splits one of two layers with the same weights"
        raise _unfit(f"{what}; model.settings.tie_word_embeddings=false unties them")
    parallelize_module(model, mesh, {name: STYLES[style]() for name, style in plan.items()})
    if tied:
        asked.weight = given.weight  # both were split in the same way


def _plan(model: nn.Module, size: int) -> dict[str, str]:
    kind = type(model).__name__
    plan: dict[str, str] = dict(getattr(model, "tp_plan", None) or {})
    if not plan:
        raise _unfit(f"{kind} has no tensor parallel plan in Transformers; llama, qwen2 and qwen3 have one")
    if unknown := sorted(set(plan.values()) - STYLES.keys()):
        raise _unfit(f"the plan of {kind} uses {', '.join(unknown)}, which is not supported")
    config: Any = model.config
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
        number = getattr(config, name, None) or size
        if number % size:
            raise _unfit(f"model.settings.{name}={number} is not divisible by {plural(size, 'rank')}")
    if getattr(config, "attention_dropout", 0):
        raise _unfit("ranks would use the same dropout mask (model.settings.attention_dropout must be 0)")
    return plan


def _unfit(why: str) -> ConfigError:
    return ConfigError([Problem("trainer.tensor_parallel_size", f"{why}; set it to 1, or use trainer=fsdp")])


class _SumBackward(torch.autograd.Function):
    """Identity whose gradient is summed over a group."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, group: distributed.ProcessGroup) -> Tensor:
        context.group = group
        return tensor.view_as(tensor)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total, group=context.group)
        return total, None

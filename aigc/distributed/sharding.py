"""Sharding of weights, gradients and optimiser states (FSDP2): each rank holds a part of every layer.

Ranks that also compute each layer together (tensor parallelism) read the same batches.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException  # type: ignore[attr-defined]
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.optim import Optimizer

from aigc.distributed.shard_files import cause_of, write_shards
from aigc.distributed.tensor_parallel import split_layers
from aigc.errors import InputError


class ShardedData(ModelParallelStrategy):
    """Fully sharded data parallelism: layers are gathered to compute, and freed afterwards.

    Checkpoints are folders to which each rank writes its shard (`torch.distributed.checkpoint`).

    Args:
        ranks: Number of ranks.
        together: Number of consecutive ranks that compute each batch together.
    """

    def __init__(self, ranks: int, together: int = 1) -> None:
        super().__init__(data_parallel_size=ranks // together, tensor_parallel_size=together)
        # It warns that two collectives could be merged.
        logging.getLogger("torch.distributed.tensor._redistribute").setLevel(logging.ERROR)
        self._together = together

    def prepare(self, model: nn.Module) -> None:
        """Shard a network over the ranks, in place, unless it is sharded already."""
        if isinstance(model, FSDPModule):
            return
        if self._together > 1:
            split_layers(model, self.device_mesh["tensor_parallel"])
        shard(model, self.device_mesh["data_parallel"])

    def on_validation_start(self) -> None:
        """Gather all weights, as ranks with different numbers of batches would otherwise wait for each other."""
        for module in sharded_modules(self.model):
            module.set_reshard_after_forward(False, recurse=False)
            module.unshard()

    def on_validation_end(self) -> None:
        """Free them again."""
        for module in sharded_modules(self.model):
            module.set_reshard_after_forward(True, recurse=False)
            module.reshard()

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Mapping[str, Callable[[], None]] | None = None
    ) -> None:
        """Write one checkpoint as a folder; all ranks must call it.

        Args:
            checkpoint: The checkpoint that `dump_checkpoint` returned.
            filepath: The folder.
            storage_options: As for `AtomicCheckpointIO.save_checkpoint`.
        """
        write_shards(checkpoint, Path(filepath), (storage_options or {}).get("then", lambda: None))

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """Load weights and optimisers from a folder of shards, of any number of ranks, or from a file of whole ones.

        Returns:
            The rest of the checkpoint.

        Raises:
            InputError: The checkpoint is of another model.
        """
        if Path(checkpoint_path).is_dir():
            try:
                rest: dict[str, Any] = super().load_checkpoint(checkpoint_path, weights_only)
            except CheckpointException as error:
                raise _unfit(cause_of(error)) from error
            return rest
        assert self.model is not None
        checkpoint: dict[str, Any] = self.checkpoint_io.load_checkpoint(checkpoint_path)
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(self.model, checkpoint.pop("state_dict"), options=options)
        for optimizer, state in zip(self.optimizers, checkpoint.pop("optimizer_states"), strict=True):
            set_optimizer_state_dict(self.model, optimizer, _by_name(state, optimizer, self.model), options=options)
        return checkpoint

    def whole_weights(self) -> dict[str, Tensor]:
        """Gather all weights on the CPU of the first rank; the result is empty elsewhere. All ranks must call it."""
        assert self.model is not None
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights: dict[str, Any] = get_model_state_dict(self.model, options=options)
        return weights


def _unfit(cause: BaseException) -> BaseException:
    """Return the error to raise; one of the disk is clear by itself."""
    if isinstance(cause, OSError):
        return cause
    return InputError(f"the model of this config does not fit the checkpoint: {str(cause).splitlines()[0]}")


def _by_name(state: dict[str, Any], optimizer: Optimizer, model: nn.Module) -> dict[str, Any]:
    """Return an optimiser's state with parameter names instead of indices."""
    named = {parameter: name for name, parameter in model.named_parameters()}
    names = [named[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    return {
        "state": {names[number]: values for number, values in state["state"].items()},
        "param_groups": [
            {**group, "params": [names[number] for number in group["params"]]} for group in state["param_groups"]
        ],
    }


def shard(model: nn.Module, mesh: Any) -> None:
    """Shard a model in place: each block separately, so that one at a time is gathered, then the rest.

    Args:
        model: Any module; lists of layers in it (`nn.ModuleList`) hold its blocks.
        mesh: The one-dimensional device mesh of the ranks.
    """
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    for blocks in reversed(lists):  # those inside others first
        for block in blocks:
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def sharded_modules(model: nn.Module | None) -> Iterator[FSDPModule]:
    """Yield the modules that gather and free their weights separately."""
    return (module for module in (model.modules() if model else ()) if isinstance(module, FSDPModule))

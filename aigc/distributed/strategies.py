"""Strategies that share the work of one run among ranks."""

from pytorch_lightning.strategies import DDPStrategy, Strategy

from aigc.config.problems import ConfigError, Problem
from aigc.distributed.data_rank import compute_together
from aigc.distributed.gradients import BareDDP
from aigc.distributed.sharding import ShardedData
from aigc.printing import plural


def choose_strategy(name: str, world_size: int, together: int = 1, reduces: bool = True) -> Strategy | str:
    """Return Lightning's strategy for `trainer.strategy`.

    Args:
        name: auto, ddp, fsdp or model_parallel.
        world_size: Number of ranks.
        together: Number of ranks that compute each batch together.
        reduces: Whether the strategy averages gradients, rather than the task.

    Raises:
        ConfigError: The strategy does not support the task.
    """
    if world_size == 1:
        return "auto"
    if not reduces:
        if name not in ("auto", "ddp"):
            what = f"{name} splits the weights of one network with one optimiser; a task with several needs ddp"
            raise ConfigError([Problem("trainer.strategy", what)])
        return BareDDP()
    if name in ("auto", "ddp"):
        return DDPStrategy(gradient_as_bucket_view=True)
    return ShardedData(world_size, together)


def share_batches(name: str, world_size: int, together: int) -> None:
    """Set how many consecutive ranks compute each batch together; arguments as for `choose_strategy`.

    Raises:
        ConfigError: The strategy does not support it, or the number of ranks is not a multiple of it.
    """
    if together > 1 and name != "model_parallel":
        what = f"only trainer.strategy=model_parallel splits layers, and it is {name}; use trainer=model_parallel"
    elif world_size % together:
        what = f"{plural(world_size, 'rank')} (trainer.devices times trainer.nodes) are not a multiple of {together}"
    else:
        compute_together(together)
        return
    raise ConfigError([Problem("trainer.tensor_parallel_size", what)])

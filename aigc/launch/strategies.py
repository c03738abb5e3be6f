"""How several ranks share the work of one run."""

from pytorch_lightning.strategies import DDPStrategy, Strategy

from aigc.config.problems import ConfigError, Problem
from aigc.tasks.ranks import BareDDP
from aigc.tasks.sharding import ShardedData


def choose_strategy(name: str, world_size: int, reduces: bool = True) -> Strategy | str:
    """Lightning's strategy for a name in `trainer.strategy`.

    Args:
        name: auto, ddp or fsdp.
        world_size: How many ranks there are.
        reduces: Whether gradients are averaged by the strategy, and not by the task.

    Raises:
        ConfigError: The strategy does not go with the task.
    """
    if world_size == 1:
        return "auto"
    if not reduces:
        if name not in ("auto", "ddp"):
            what = f"{name} shards the weights of one network with one optimiser; a task with several takes ddp"
            raise ConfigError([Problem("trainer.strategy", what)])
        return BareDDP()
    if name in ("auto", "ddp"):
        return DDPStrategy(gradient_as_bucket_view=True)
    return ShardedData(world_size)

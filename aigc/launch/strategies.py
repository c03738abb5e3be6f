"""How several ranks share the work of one run."""

from typing import Any

from pytorch_lightning.strategies import DDPStrategy, Strategy

from aigc.config.problems import ConfigError, Problem
from aigc.tasks.ranks import BareDDP


def choose_strategy(name: str, world_size: int, reduces: bool = True) -> Strategy | str:
    """Lightning's strategy for a name in `trainer.strategy`.

    Args:
        name: auto, ddp, fsdp, deepspeed or model_parallel.
        world_size: How many ranks there are.
        reduces: Whether gradients are averaged by the strategy, and not by the task.

    Raises:
        ConfigError: The strategy does not go with the task, or needs a package that is not installed.
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
    if name == "deepspeed":
        return _deepspeed()
    raise ConfigError([Problem("trainer.strategy", f"{name} is not built yet")])


def _deepspeed() -> Any:
    from pytorch_lightning.strategies import DeepSpeedStrategy

    return DeepSpeedStrategy()

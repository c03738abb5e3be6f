"""Types of weights, and the optimisers that can train them; nothing here imports torch."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from aigc.config.targets import class_attribute

Dtype = Literal["float32", "bfloat16", "float16"]
"""What `model.dtype` may be."""

KEY = "model.dtype"
ROUNDS = "rounds_stochastically"
"""The class attribute of an optimiser whose steps move weights of 16 bits, as it rounds up or down at random."""


def optimizer_problems(model: Mapping[str, Any], optimizer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of weights that an optimiser cannot train.

    A step is often smaller than half the distance of two numbers in bfloat16: rounded to the nearest, it is lost.

    Args:
        model: The node of a language model.
        optimizer: The node of the optimiser.
    """
    dtype, target = model.get("dtype", "float32"), optimizer.get("_target_")
    if dtype not in ("bfloat16", "float16") or model.get("adapter") is not None:
        return
    if dtype == "float16":
        yield KEY, "weights in float16 are only for a base that an adapter leaves frozen; train bfloat16 or float32"
    elif not (isinstance(target, str) and class_attribute(target, ROUNDS)):
        yield (
            KEY,
            (
                "weights in bfloat16 do not move by small steps that are rounded to the nearest: take an optimiser "
                "that rounds stochastically, train an adapter, or keep float32 (trainer.precision=bf16-mixed computes "
                "in bfloat16 all the same)"
            ),
        )

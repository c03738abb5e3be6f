"""Which optimisers can train weights of 16 bits."""

from typing import Any, ClassVar

import pytest
import torch

from aigc.config import check, compose
from aigc.config.problems import ConfigError
from aigc.models.dtypes import optimizer_problems

ADAMW = {"_target_": "torch.optim.AdamW"}
OWN = {"_target_": f"{__name__}.RoundsAtRandom"}
LORA = {"_target_": "aigc.models.adapters.LoRA"}


class RoundsAtRandom(torch.optim.SGD):
    """An optimiser that says so; what it does is not looked at."""

    rounds_stochastically: ClassVar = True


@pytest.mark.parametrize(
    ("model", "optimizer", "refused"),
    [
        ({}, ADAMW, False),
        ({"dtype": "float32"}, ADAMW, False),
        ({"dtype": "bfloat16"}, ADAMW, True),
        ({"dtype": "bfloat16"}, OWN, False),
        ({"dtype": "bfloat16", "adapter": LORA}, ADAMW, False),
        ({"dtype": "float16", "adapter": LORA}, ADAMW, False),
        ({"dtype": "float16"}, OWN, True),
    ],
)
def test_weights_of_16_bits_need_an_adapter_or_an_optimiser_for_them(
    model: dict[str, Any], optimizer: dict[str, Any], refused: bool
) -> None:
    assert [key for key, _ in optimizer_problems(model, optimizer)] == ["model.dtype"] * refused


@pytest.mark.slow
def test_the_check_of_a_config_refuses_them() -> None:
    check(compose(["model.dtype=float32"]))
    with pytest.raises(ConfigError, match=r"model\.dtype"):
        check(compose(["model.dtype=bfloat16"]))

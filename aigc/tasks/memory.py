"""Overrides that make a step need less memory, as a person would type them, each with the value that it has now."""

from typing import Any

from omegaconf import DictConfig, OmegaConf


def advised(*ways: str | None) -> list[str]:
    """Return the advice that applies; a function below gives None where it does not."""
    return [way for way in ways if way]


def halved(cfg: DictConfig, key: str, least: int = 2) -> str | None:
    """Advise half the value of a key, unless that is below `least`."""
    value = number(cfg, key)
    return None if value is None else half(key, value, least)


def half(key: str, value: int, least: int = 1) -> str | None:
    """Advise half of a value, unless that is below `least`."""
    return None if value < 2 or value // 2 < least else f"{key}={value // 2} (now {value})"


def accumulated(cfg: DictConfig) -> str | None:
    """Advise half as large batches, and twice as many for one step."""
    size, batches = number(cfg, "data.batch_size"), number(cfg, "trainer.accumulate_grad_batches")
    follows = number(cfg, "trainer.target_tokens_per_step") is not None  # with the batch size
    if size is None or size < 2 or batches is None or follows:
        return halved(cfg, "data.batch_size", 1)
    same = "the same step size" if size % 2 == 0 else "about the same step size"
    change = f"data.batch_size={size // 2} trainer.accumulate_grad_batches={2 * batches}"
    return f"{change} (now {size} and {batches}; {same})"


def lower_precision(cfg: DictConfig) -> str | None:
    """Advise bfloat16 in place of float32."""
    return "trainer.precision=bf16-mixed (now 32-true)" if _value(cfg, "trainer.precision") == "32-true" else None


def number(cfg: DictConfig, key: str) -> int | None:
    """Return the integer that a key has; None where there is none."""
    value = _value(cfg, key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _value(cfg: DictConfig, key: str) -> Any:
    return OmegaConf.select(cfg, key, throw_on_missing=False, throw_on_resolution_failure=False)

"""What to change when a run is out of memory."""

from typing import Any

from omegaconf import DictConfig, OmegaConf


def advice(cfg: DictConfig, error: BaseException) -> str:
    """What to change in this config so that it needs less memory: one or two lines with overrides to be typed.

    Args:
        cfg: The run's config; keys that it does not have are not spoken of.
        error: The error; where it came from decides between training and generation.
    """
    if _while_generating(error):
        from aigc.generation.sampling import Sampling

        key = "evaluation.generation.sampling.batch_size"
        size = _number(cfg, key) or Sampling().batch_size
        if size > 1:
            return f"memory ran out while texts were generated; try {key}={size // 2} (now {size})"
    ways = [way for way in (_smaller_batch(cfg), _bf16(cfg), _shorter_rows(cfg)) if way]
    if not ways:
        return "choose a smaller model, or a device with more memory"
    others = f"\nor {', or '.join(ways[1:])}" if ways[1:] else ""
    return f"try {ways[0]}{others}"


def _smaller_batch(cfg: DictConfig) -> str | None:
    size = _number(cfg, "data.batch_size")
    if size is None or size < 2:
        return None
    batches = _number(cfg, "trainer.accumulate_grad_batches")
    if batches is None:
        return f"data.batch_size={size // 2} (now {size})"
    same = "the same step size" if size % 2 == 0 else "about the same step size"
    change = f"data.batch_size={size // 2} trainer.accumulate_grad_batches={2 * batches}"
    return f"{change} (now {size} and {batches}; {same})"


def _shorter_rows(cfg: DictConfig) -> str | None:
    length = _number(cfg, "data.sequence_length")
    return None if length is None or length < 4 else f"data.sequence_length={length // 2} (now {length})"


def _bf16(cfg: DictConfig) -> str | None:
    precision = _value(cfg, "trainer.precision")
    return "trainer.precision=bf16-mixed (now 32-true)" if precision == "32-true" else None


def _number(cfg: DictConfig, key: str) -> int | None:
    value = _value(cfg, key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _value(cfg: DictConfig, key: str) -> Any:
    return OmegaConf.select(cfg, key, throw_on_missing=False, throw_on_resolution_failure=False)


def _while_generating(error: BaseException | None) -> bool:
    """Whether the error passed through the writing of texts."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_name == "generate_texts":
                return True
            trace = trace.tb_next
        error = error.__cause__
    return False

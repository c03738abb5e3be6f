"""How many batches make up the tokens of an optimiser step."""

from collections.abc import Iterator, Mapping
from typing import Any

from aigc.config.problems import ConfigError, Problem
from aigc.config.targets import signature
from aigc.printing import plural

KEY = "trainer.target_tokens_per_step"


def accumulation(tokens: int, batch_size: int, sequence_length: int, ranks: int) -> int:
    """Return the batches per optimiser step of each rank that together have so many tokens.

    Args:
        tokens: Tokens of a step; rows count whole, with their padding.
        batch_size: Rows in a batch of one rank.
        sequence_length: Tokens in a row.
        ranks: Ranks that read different batches.

    Raises:
        ConfigError: No whole number of batches has so many.
    """
    of_batches = batch_size * sequence_length * ranks
    if tokens % of_batches:
        less = tokens // of_batches * of_batches
        nearest = " or ".join(str(number) for number in (less, less + of_batches) if number)
        product = f"data.batch_size={batch_size} x data.sequence_length={sequence_length}"
        product += f" x {plural(ranks, 'rank')}" if ranks > 1 else ""
        what = f"{tokens} is no multiple of the {of_batches} tokens of a batch ({product}); the nearest: {nearest}"
        raise ConfigError([Problem(KEY, what)])
    return tokens // of_batches


def accumulation_problems(plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the key and the problem of a number of tokens that no batches make up.

    Args:
        plain: A config with interpolations resolved.
    """
    trainer, data = plain["trainer"], plain.get("data")
    tokens = trainer.get("target_tokens_per_step")
    if tokens is None or not isinstance(data, Mapping):
        return
    if trainer.get("accumulate_grad_batches") != 1:
        yield KEY, "trainer.accumulate_grad_batches is set, too; set it to 1, or this to null"
        return
    parameters = signature(str(data.get("_target_"))).parameters
    if not {"batch_size", "sequence_length"} <= parameters.keys():
        yield KEY, f"{data.get('_target_')} has no rows of tokens; set trainer.accumulate_grad_batches instead"
        return
    rows, length = (data.get(name, parameters[name].default) for name in ("batch_size", "sequence_length"))
    devices = trainer.get("devices")
    ranks = devices * trainer.get("nodes", 1) // trainer.get("tensor_parallel_size", 1) if devices != "auto" else 1
    if all(isinstance(number, int) and number > 0 for number in (rows, length, ranks)):
        try:
            accumulation(tokens, rows, length, ranks)
        except ConfigError as error:
            yield from ((problem.key, problem.what) for problem in error.problems)

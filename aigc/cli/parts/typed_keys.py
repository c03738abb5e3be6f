"""Arguments of a verb as key=value, checked against the class that takes them."""

from collections.abc import Sequence
from typing import Any

from aigc.cli.parts.options import read_value


def read_keys(typed: Sequence[str], target: str, literal: Sequence[str] = ()) -> dict[str, Any]:
    """The values of what was typed.

    Args:
        typed: `key=value` each.
        target: Dotted path of the class whose parameters the keys are; its source is read, nothing is imported.
        literal: Further keys, whose values are texts to be taken as they are.

    Raises:
        ConfigError: Every unknown key and wrong value.
    """
    from aigc.config.problems import ConfigError, Problem, suggest
    from aigc.config.targets import signature
    from aigc.config.types import mismatches

    known = signature(target).parameters
    values: dict[str, Any] = {}
    problems = []
    for text in typed:
        key, equals, value = text.partition("=")
        if not equals:
            problems.append(Problem("", f"cannot read {text!r}; expected key=value", "command line"))
        elif key in literal:
            values[key] = value
        elif key not in known:
            problems.append(Problem(key, f"no such key; {suggest(key, [*literal, *known])}", f"command line: {text}"))
        else:
            values[key] = read_value(value, known[key].type)
            found = mismatches(key, values[key], known[key].type)
            problems += [Problem(name, what, f"command line: {text}") for name, what in found]
    if problems:
        raise ConfigError(problems)
    return values

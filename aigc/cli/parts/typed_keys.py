"""Arguments of a verb in the form key=value, checked against the class that they belong to."""

from collections.abc import Sequence
from typing import Any

from aigc.cli.parts.options import read_value


def read_keys(typed: Sequence[str], target: str, literal: Sequence[str] = ()) -> dict[str, Any]:
    """Parse and check arguments.

    Args:
        typed: Arguments in the form `key=value`.
        target: Dotted path of the class whose parameters the keys are; its source is read, and it is not imported.
        literal: More keys, whose values are used as typed.

    Raises:
        ConfigError: Lists every unknown key and wrong value.
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

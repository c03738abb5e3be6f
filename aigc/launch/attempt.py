"""The config of one attempt at a run: the frozen one, and what attempts since then have set anew."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig

from aigc.config.compose import override
from aigc.config.schema import sections
from aigc.errors import InputError
from aigc.runs import Run

CHANGEABLE = ("data", "trainer", "callbacks", "evaluation", "logger", "resume")
"""Sections that `aigc resume` may change; the others are in the weights or in the checkpoint."""


def attempt_config(run: Run, more: Sequence[str] = ()) -> DictConfig:
    """The config to go on with.

    Args:
        run: The run.
        more: Overrides of an attempt that has not begun; `resume.*` counts for one attempt only.

    Raises:
        ConfigError: An override is wrong.
    """
    attempts: list[dict[str, Any]] = run.manifest["attempts"]
    refused = InputError.exit_code  # what an attempt said that was refused counts for nothing
    said = [list(attempt.get("overrides") or []) for attempt in attempts if attempt["exit_code"] != refused]
    said += [list(more)] if more else []
    lasting = [text for overrides in said[:-1] for text in overrides if not text.startswith("resume.")]
    cfg = override(run.config, [*lasting, *(said[-1] if said else [])], CHANGEABLE)
    for section, fields in sections().items():  # runs of an older version have fewer keys
        for name, parameter in fields.parameters.items():
            if section not in cfg:
                cfg[section] = {}
            if name not in cfg[section] and not parameter.required:
                cfg[section][name] = parameter.default
    return cfg

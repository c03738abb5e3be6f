"""The config of one attempt at a run: the frozen config with the overrides of later attempts."""

from collections.abc import Sequence

from omegaconf import DictConfig

from aigc.config.compose import fill_defaults, override
from aigc.errors import InputError
from aigc.files.secrets import redact
from aigc.launch.length import check_length
from aigc.runs import Run
from aigc.runs.console import log

CHANGEABLE = ("data", "trainer", "callbacks", "evaluation", "logger", "resume")
"""Sections that `aigc resume` may change; the others determine the weights or the checkpoint."""


def attempt_config(run: Run, overrides: Sequence[str] = (), log_earlier: bool = False) -> DictConfig:
    """Return the config of the next attempt.

    Args:
        run: The run.
        overrides: Those of an attempt that has not started; `resume.*` applies to one attempt only.
        log_earlier: Log which overrides of earlier attempts still apply.

    Raises:
        ConfigError: An override is wrong.
        InputError: An override holds a secret, which must not be written into the manifest, or asks for fewer steps
            than are done.
    """
    for text in overrides:
        if redact(text) != text:
            raise InputError(f"{text.partition('=')[0]}: a secret cannot be an override: use ${{oc.env:NAME}}")
    attempts = [attempt.overrides for attempt in run.record.attempts if not attempt.was_refused]
    attempts += [list(overrides)] if overrides else []
    kept = [text for earlier in attempts[:-1] for text in earlier if not text.startswith("resume.")]
    if kept and log_earlier:
        log.info("with the settings of an earlier attempt: %s", " ".join(kept))
    cfg = override(run.config, [*kept, *(attempts[-1] if attempts else [])], CHANGEABLE)
    fill_defaults(cfg)  # runs of an older version have fewer keys
    if overrides:
        check_length(run, cfg)
    return cfg

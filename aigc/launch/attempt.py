"""The config of one attempt at a run: the frozen one, and what attempts since then have set anew."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

from aigc.config.compose import fill_defaults, override
from aigc.errors import InputError
from aigc.runs import Run
from aigc.runs.console import log
from aigc.runs.secrets import redact

CHANGEABLE = ("data", "trainer", "callbacks", "evaluation", "logger", "resume")
"""Sections that `aigc resume` may change; the others are in the weights or in the checkpoint."""


def attempt_config(run: Run, more: Sequence[str] = (), tell: bool = False) -> DictConfig:
    """Return the config of the next attempt.

    Args:
        run: The run.
        more: Overrides of an attempt that has not begun; `resume.*` counts for one attempt only.
        tell: Say which settings of earlier attempts still count.

    Raises:
        ConfigError: An override is wrong.
        InputError: An override holds a secret, which the manifest must not keep.
    """
    for text in more:
        if redact(text) != text:
            raise InputError(f"{text.partition('=')[0]}: a secret cannot be an override: use ${{oc.env:NAME}}")
    said = [attempt.overrides for attempt in run.record.attempts if not attempt.was_refused]
    said += [list(more)] if more else []
    lasting = [text for overrides in said[:-1] for text in overrides if not text.startswith("resume.")]
    if lasting and tell:
        log.info("with the settings of an earlier attempt: %s", " ".join(lasting))
    cfg = override(run.config, [*lasting, *(said[-1] if said else [])], CHANGEABLE)
    if OmegaConf.select(cfg, "trainer.overfit_batches") == 0:  # a key of an earlier version, switched off
        del cfg.trainer["overfit_batches"]
    fill_defaults(cfg)  # runs of an older version have fewer keys
    return cfg

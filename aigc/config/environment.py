"""Secrets of the environment, which a config may read as `${oc.env:NAME}` only where a secret is taken."""

import os
import re

from aigc.files.secrets import is_secret, takes_secret

_SHORTEST = 6
"""Shorter values may be part of another one by chance."""
_SECRET_NAME = re.compile(r"(?i)(.+_)?(key|pat|pass|auth|authorization|cookie|dsn|tokens?)|.+_pwd")
"""Names that only variables use for secrets: a key of a config that is called so need not hold one."""


def leak(key: str, value: str) -> str:
    """Return what is wrong with a resolved value that holds a secret of the environment; empty if nothing is.

    Args:
        key: The full key; one such as `logger.wandb.api_key` takes a secret.
        value: The value, with all that it refers to.
    """
    if takes_secret(key):
        return ""
    for name, secret in os.environ.items():
        held = secret == value or (len(secret) >= _SHORTEST and secret in value)
        if secret and held and (_SECRET_NAME.fullmatch(name) or is_secret(name, secret)):
            return f"the variable {name} holds a secret, which only a key such as api_key, token or password takes"
    return ""

"""The environment that a config reads as `${oc.env:NAME}`; what is secret there goes only where a secret is taken."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from aigc.files.secrets import is_secret, takes_secret

_SECRET_NAME = re.compile(r"(?i)(.+_)?(key|pat|pass|auth|authorization|cookie|dsn|tokens?)|.+_pwd")
"""Names that only variables use for secrets: a key of a config that is called so need not hold one."""


@contextmanager
def environment_watched() -> Iterator[list[str]]:
    """Record the names of the variables that are read while interpolations are resolved, by whatever way."""
    reads: list[str] = []

    def read(*arguments: Any) -> Any:
        reads.append(str(arguments[0]))
        return oc.env(*arguments)

    OmegaConf.register_new_resolver("oc.env", read, replace=True)
    try:
        yield reads
    finally:
        OmegaConf.register_new_resolver("oc.env", oc.env, replace=True)


def leak(key: str, variables: list[str]) -> str:
    """Return what is wrong with a key whose value was made from variables; empty if nothing is.

    Args:
        key: The full key; one such as `logger.wandb.api_key` takes a secret.
        variables: The names of the variables.
    """
    for name in [] if takes_secret(key) else variables:
        value = os.environ.get(name, "")
        if value and (_SECRET_NAME.fullmatch(name) or is_secret(name, value)):
            return f"the variable {name} holds a secret, which only a key such as api_key, token or password takes"
    return ""

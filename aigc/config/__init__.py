"""Compose configs from YAML, check them with file and line, build objects from them; no torch at import."""

from aigc.config.build import build, factory
from aigc.config.check import check
from aigc.config.compose import compose
from aigc.config.problems import ConfigError

__all__ = ["ConfigError", "build", "check", "compose", "factory"]

"""Configs: composed from YAML, checked with file and line, built into objects; no torch at import."""

from aigc.config.build import build, factory
from aigc.config.check import check
from aigc.config.compose import compose
from aigc.config.problems import ConfigError

__all__ = ["ConfigError", "build", "check", "compose", "factory"]

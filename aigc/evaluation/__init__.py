"""Callbacks that generate, measure, and save samples; imported when they are asked for."""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

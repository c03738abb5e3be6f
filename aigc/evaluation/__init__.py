"""Callbacks that generate, measure, and save samples; a module is imported when its class is used."""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

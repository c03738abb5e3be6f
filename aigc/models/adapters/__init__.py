"""Adapters: few trained weights in a frozen network. An adapter of your own is one file here, or a class anywhere."""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

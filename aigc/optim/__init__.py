"""Optimisers and schedules, behind `conf/optimizer` and `conf/scheduler`. One of your own is one file here."""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

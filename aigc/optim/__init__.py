"""Optimisers and schedules, behind `conf/optimizer` and `conf/scheduler`. To add one, add one file here."""

from aigc.config.exports import lazy_exports

__getattr__, __dir__ = lazy_exports(__name__)

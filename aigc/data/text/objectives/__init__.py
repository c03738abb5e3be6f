"""Objectives, one a module: what is learned from an example of text, from its columns to the batch."""

from aigc.config.exports import lazy_exports
from aigc.data.text.objectives.base import Context, Encoded, Objective
from aigc.data.text.objectives.causal import Causal
from aigc.data.text.objectives.chat import Chat

__all__ = ["Causal", "Chat", "Context", "Encoded", "Objective"]
__getattr__, __dir__ = lazy_exports(__name__)

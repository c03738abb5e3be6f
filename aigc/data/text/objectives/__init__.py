"""Objectives, one a module: what is learned from an example of text, from its columns to the batch."""

from aigc.data.text.objectives.base import Context, Encoded, Objective
from aigc.data.text.objectives.causal import Causal

__all__ = ["Causal", "Context", "Encoded", "Objective"]

"""Tasks: what is learned and how, as LightningModules."""

from aigc.tasks.base import Task
from aigc.tasks.causal_lm import CausalLM
from aigc.tasks.image import ImageTask

__all__ = ["CausalLM", "ImageTask", "Task"]

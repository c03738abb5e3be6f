"""Tasks: what is learned and how, as LightningModules."""

from aigc.tasks.alternating import AlternatingTask
from aigc.tasks.base import Task
from aigc.tasks.causal_lm import CausalLM
from aigc.tasks.gan import GanTask
from aigc.tasks.image import ImageTask

__all__ = ["AlternatingTask", "CausalLM", "GanTask", "ImageTask", "Task"]

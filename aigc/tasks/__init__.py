"""Tasks: what is learned and how, as LightningModules."""

from aigc.tasks.base import Task
from aigc.tasks.gan.task import GanTask
from aigc.tasks.images.alternating import AlternatingTask
from aigc.tasks.images.base import ImageTask
from aigc.tasks.language.causal_lm import CausalLM

__all__ = ["AlternatingTask", "CausalLM", "GanTask", "ImageTask", "Task"]

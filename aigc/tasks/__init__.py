"""Tasks: what is learned and how, as LightningModules."""

from aigc.tasks.base import Task
from aigc.tasks.gan.task import GanTask
from aigc.tasks.images.alternating import AlternatingTask
from aigc.tasks.images.base import ImageTask
from aigc.tasks.language.base import LanguageTask
from aigc.tasks.language.causal_lm import CausalLM
from aigc.tasks.language.tokens import TokenTask

__all__ = ["AlternatingTask", "CausalLM", "GanTask", "ImageTask", "LanguageTask", "Task", "TokenTask"]

"""Tasks: what is learned and how, as LightningModules."""

from aigc.tasks.base import Task
from aigc.tasks.causal_lm import CausalLM

__all__ = ["CausalLM", "Task"]

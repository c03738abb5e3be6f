"""Networks: those this project owns, and a factory for Transformers' language models."""

from aigc.models.base import ModelFactory
from aigc.models.language import TransformersCausalLM

__all__ = ["ModelFactory", "TransformersCausalLM"]

"""Callbacks that generate, measure, and save samples."""

from aigc.evaluation.generation import TextGeneration
from aigc.evaluation.image_generation import ImageGeneration
from aigc.evaluation.sampling import Sampling

__all__ = ["ImageGeneration", "Sampling", "TextGeneration"]

"""Measures of generated images that can be compared with papers, from one pass over the images.

The functions take features as NumPy arrays or tensors. `FeatureStatistics` collects features of images with an
extractor (`aigc.metrics.image.extractors`), and `compare` makes scores of what was collected.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc.metrics.image.comparison import compare, nearest
    from aigc.metrics.image.feature_statistics import FeatureStatistics
    from aigc.metrics.image.frechet import frechet_distance
    from aigc.metrics.image.inception_scores import inception_score
    from aigc.metrics.image.kernel import kernel_distance
    from aigc.metrics.image.manifold import precision_recall_density_coverage
    from aigc.metrics.image.measure import Comparison, ImageMeasure
    from aigc.metrics.image.measures import (
        FrechetDistance,
        InceptionScore,
        KernelDistance,
        Memorisation,
        PrecisionRecall,
        Vendi,
    )
    from aigc.metrics.image.memorisation import memorisation_distance
    from aigc.metrics.image.path_length import perceptual_path_length
    from aigc.metrics.image.quantisation import dequantise, quantise
    from aigc.metrics.image.recognition import Recognition
    from aigc.metrics.image.statistics import Statistics, smallest
    from aigc.metrics.image.statistics_file import is_statistics, read_statistics, write_statistics
    from aigc.metrics.image.vendi import vendi_score

__all__ = [
    "Comparison",
    "FeatureStatistics",
    "FrechetDistance",
    "ImageMeasure",
    "InceptionScore",
    "KernelDistance",
    "Memorisation",
    "PrecisionRecall",
    "Recognition",
    "Statistics",
    "Vendi",
    "compare",
    "dequantise",
    "frechet_distance",
    "inception_score",
    "is_statistics",
    "kernel_distance",
    "memorisation_distance",
    "nearest",
    "perceptual_path_length",
    "precision_recall_density_coverage",
    "quantise",
    "read_statistics",
    "smallest",
    "vendi_score",
    "write_statistics",
]
_MODULES = {
    "Comparison": "measure",
    "ImageMeasure": "measure",
    "compare": "comparison",
    "nearest": "comparison",
    "FeatureStatistics": "feature_statistics",
    "Recognition": "recognition",
    "Statistics": "statistics",
    "dequantise": "quantisation",
    "frechet_distance": "frechet",
    "inception_score": "inception_scores",
    "is_statistics": "statistics_file",
    "kernel_distance": "kernel",
    "memorisation_distance": "memorisation",
    "perceptual_path_length": "path_length",
    "precision_recall_density_coverage": "manifold",
    "quantise": "quantisation",
    "read_statistics": "statistics_file",
    "smallest": "statistics",
    "vendi_score": "vendi",
    "write_statistics": "statistics_file",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'measures')}"), name)

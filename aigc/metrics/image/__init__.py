"""Measures of generated images that can be compared with papers, from one pass over the images.

The functions take features as NumPy arrays or tensors. `FeatureStatistics` collects features of images with an
extractor (`aigc.metrics.image.extractors`), and `compare` makes scores of what was collected.
"""

from typing import TYPE_CHECKING

from aigc.config.exports import lazy_exports

if TYPE_CHECKING:  # types of what other packages use; a measure needs no line here
    from aigc.metrics.image.comparison import compare as compare
    from aigc.metrics.image.comparison import nearest as nearest
    from aigc.metrics.image.feature_statistics import FeatureStatistics as FeatureStatistics
    from aigc.metrics.image.measure import ImageMeasure as ImageMeasure
    from aigc.metrics.image.statistics import Statistics as Statistics
    from aigc.metrics.image.statistics import smallest as smallest
    from aigc.metrics.image.statistics_file import is_statistics as is_statistics
    from aigc.metrics.image.statistics_file import read_statistics as read_statistics
    from aigc.metrics.image.statistics_file import write_statistics as write_statistics

__getattr__, __dir__ = lazy_exports(__name__)

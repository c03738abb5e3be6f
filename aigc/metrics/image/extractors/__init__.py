"""Networks that turn images into features, by name; each kind is imported when it is asked for.

A kind is also a class for a config, `_target_: aigc.metrics.image.extractors.Inception`, and so is every class of a
person's own that derives from `Extractor`.
"""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.config.problems import choices
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.metrics.image.extractors.base import Extracted, Extractor, ModuleExtractor
    from aigc.metrics.image.extractors.classifier import ClassifierExtractor, train_classifier
    from aigc.metrics.image.extractors.efficientnet_lite0 import EfficientNetLite0
    from aigc.metrics.image.extractors.inception import Inception
    from aigc.metrics.image.extractors.transformers_vision import CLIP, DINOv2

__all__ = [
    "CLIP",
    "ClassifierExtractor",
    "DINOv2",
    "EfficientNetLite0",
    "Extracted",
    "Extractor",
    "Inception",
    "ModuleExtractor",
    "get_extractor",
    "train_classifier",
]
_MODULES = {
    "CLIP": "transformers_vision",
    "ClassifierExtractor": "classifier",
    "DINOv2": "transformers_vision",
    "EfficientNetLite0": "efficientnet_lite0",
    "Extracted": "base",
    "Extractor": "base",
    "Inception": "inception",
    "ModuleExtractor": "base",
    "train_classifier": "classifier",
}
_KINDS = {
    "inception": "Inception",
    "efficientnet_lite0": "EfficientNetLite0",
    "clip": "CLIP",
    "dinov2": "DINOv2",
    "classifier": "train_classifier",
}


def get_extractor(name: str, **settings: Any) -> "Extractor":
    """Make an extractor by the name of its kind.

    Args:
        name: inception, efficientnet_lite0, clip, dinov2, or classifier, which is trained on `images` and `labels`.
        settings: What the kind's class takes, or `train_classifier`.

    Raises:
        InputError: There is no such kind or setting, a setting is missing, or the weights are not to be had.
    """
    if name not in _KINDS:
        raise InputError(
            f"extractor {name!r} is not known. {choices(name, _KINDS)} A class of your own is named by _target_."
        )
    make = __getattr__(_KINDS[name])
    parameters = inspect.signature(make).parameters
    for setting in settings:
        if setting not in parameters:
            raise InputError(f"extractor {name} has no setting {setting!r}. {choices(setting, parameters)}")
    required = [key for key, parameter in parameters.items() if parameter.default is parameter.empty]
    missing = [key for key in required if key not in settings]
    if missing:
        raise InputError(f"extractor {name} needs {' and '.join(missing)}.")
    extractor: Extractor = make(**settings)
    return extractor


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)

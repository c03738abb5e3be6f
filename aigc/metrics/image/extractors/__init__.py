"""Networks that turn images into features, by name; each kind is imported when it is asked for.

A kind is also a class for a config, `_target_: aigc.metrics.image.extractors.Inception`, and so is your own class that
derives from `Extractor`.
"""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aigc.config.class_sources import named_classes
from aigc.config.exports import lazy_exports
from aigc.config.problems import choices
from aigc.errors import InputError

if TYPE_CHECKING:  # types of what other packages use; an extractor needs no line here
    from aigc.metrics.image.extractors.base import Extracted as Extracted
    from aigc.metrics.image.extractors.base import Extractor as Extractor
    from aigc.metrics.image.extractors.classifier import train_classifier as train_classifier

TRAINED = "classifier"
"""The extractor that is trained on images with labels."""


def get_extractor(name: str, **settings: Any) -> "Extractor":
    """Make an extractor by the name of its kind.

    Args:
        name: inception, efficientnet_lite0, clip, dinov2, or classifier, which is trained on `images` and `labels`.
        settings: What the kind's class takes, or `train_classifier`.

    Raises:
        InputError: There is no such kind or setting, a setting is missing, or the weights are not available.
    """
    kinds = named_classes(__name__, "name")
    if name not in kinds:
        raise InputError(
            f"extractor {name!r} is not known. {choices(name, kinds)} A class of your own is named by _target_."
        )
    module, _, kind = kinds[name].rpartition(".")
    make = getattr(import_module(module), "train_classifier" if name == TRAINED else kind)
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


__getattr__, __dir__ = lazy_exports(__name__)

"""Checks of values before torch is imported, by functions that the classes of a config name."""

from omegaconf import DictConfig, OmegaConf

from aigc.config.build import import_name
from aigc.config.fit import model_problems
from aigc.config.nodes import all_nodes
from aigc.config.origins import origins_of
from aigc.config.problems import ConfigError, Problem
from aigc.config.targets import class_attribute
from aigc.config.trust import is_trusted
from aigc.errors import InputError

ATTRIBUTE = "early_checks"
"""The class attribute that maps a parameter to the dotted path of a function which raises InputError for its value.

Importing the function must not import torch. The attribute is read from the source of the class.
"""


def check_early(cfg: DictConfig) -> None:
    """Check what the machine needs for a config that `check` has accepted, such as files that must exist.

    Raises:
        ConfigError: Lists every value that the function named by its class refuses, and data that do not fit the model.
    """
    problems = []
    for key, node, _ in all_nodes(cfg):
        for name, function in (class_attribute(node["_target_"], ATTRIBUTE) or {}).items():
            value = node.get(name)
            if value is None or not is_trusted(function):
                continue
            try:
                import_name(function)(value)
            except InputError as error:
                problems.append(Problem(f"{key}.{name}", str(error), origins_of(cfg).of(f"{key}.{name}")))
    plain = {key: OmegaConf.to_container(cfg[key], resolve=True) for key in ("model", "data") if cfg.get(key)}
    problems += [Problem(key, what, origins_of(cfg).of(key)) for key, what in model_problems(plain, files=True)]
    if problems:
        raise ConfigError(problems)

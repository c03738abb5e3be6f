"""Build objects from `_target_` nodes: only classes, only from trusted packages, only of the expected base."""

import contextlib
import dataclasses
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from aigc.config.problems import ConfigError, Problem
from aigc.config.renamed import new_name
from aigc.config.trust import how_to_trust, is_trusted

T = TypeVar("T")


def build(node: Mapping[str, Any] | DictConfig, expect: type[T], key: str = "", **supplied: Any) -> T:
    """Build the object that a node describes.

    Nested `_target_` nodes are passed as plain mappings; the class that takes them builds them with its own `expect`.

    Args:
        node: A mapping with `_target_` and the parameters of that class.
        expect: The class must be this one or derive from it.
        key: The node's key in the config, for messages.
        supplied: Parameters that the framework adds; they take precedence over the node's.

    Raises:
        ConfigError: The target is not trusted, not a class, or not a subclass of `expect`; or it refuses a value.
    """
    return factory(node, expect, key)(**supplied)


def factory(node: Mapping[str, Any] | DictConfig, expect: type[T], key: str = "") -> Callable[..., T]:
    """As `build`, but return a function that takes the supplied parameters and builds the object."""
    values = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else dict(node)
    assert isinstance(values, dict)
    target = values.pop("_target_", None)
    if not isinstance(target, str):
        raise ConfigError([Problem(f"{key}._target_", "missing; it names the class to build")])
    cls = target_class(target, expect, key)
    values = _with_dataclasses(cls, values, key)

    def make(*args: Any, **supplied: Any) -> T:
        try:
            return cls(*args, **{**values, **supplied})
        except (TypeError, ValueError) as error:
            raise ConfigError([Problem(key, f"{target} does not take this: {error}")]) from error

    return make


def _with_dataclasses(cls: type, values: dict[Any, Any], key: str) -> dict[Any, Any]:
    """Convert mappings to dataclasses where a parameter is annotated with one."""
    hints = _hints(cls)
    made = dict(values)
    for name, value in values.items():
        options = (hints.get(name), *typing.get_args(hints.get(name)))
        section = next((option for option in options if dataclasses.is_dataclass(option)), None)
        if isinstance(value, dict) and isinstance(section, type):
            try:
                made[name] = section(**value)
            except (TypeError, ValueError) as error:
                raise ConfigError([Problem(f"{key}.{name}", str(error))]) from error
    return made


def _hints(cls: type) -> dict[str, Any]:
    """Return the annotations of a constructor, and those of constructors that it passes further keywords on to."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            found = _own_hints(base) | found
            code = getattr(vars(base)["__init__"], "__code__", None)
            if code is None or not code.co_flags & inspect.CO_VARKEYWORDS:
                break
    return found


def _own_hints(cls: type) -> dict[str, Any]:
    """Return the annotations of a constructor; a source may import some of their names for type checkers only."""
    try:
        return typing.get_type_hints(cls.__init__)  # type: ignore[misc]
    except NameError:
        pass
    written, names = inspect.get_annotations(cls.__init__), vars(sys.modules[cls.__module__])  # type: ignore[misc]
    found = {}
    for name, hint in written.items():
        with contextlib.suppress(NameError):
            found[name] = eval(hint, dict(names)) if isinstance(hint, str) else hint  # the text is the class's own code
    return found


def import_name(dotted: str) -> Any:
    """Import what a dotted path names; whether it is trusted is for the caller to check first."""
    module, _, name = dotted.rpartition(".")
    return getattr(importlib.import_module(module), name)


def target_class(target: str, expect: type[T], key: str = "") -> type[T]:
    """Import the class that a dotted path names and check that it is allowed here.

    Raises:
        ConfigError: Not trusted (before anything is imported), not found, not a class, or not of the expected base.
    """
    if not is_trusted(target):
        raise ConfigError([Problem(f"{key}._target_", how_to_trust(target))])
    if new := new_name(target):
        raise ConfigError([Problem(f"{key}._target_", f"{target} is now {new}")])
    try:
        found = import_name(target)
    except (ImportError, AttributeError) as error:
        raise ConfigError([Problem(f"{key}._target_", f"cannot import {target}: {error}")]) from error
    if not isinstance(found, type):
        raise ConfigError(
            [Problem(f"{key}._target_", f"{target} is not a class; only classes are built from a config")]
        )
    # Check the module of the class as well: torch.x.os.y would be an alias into another package.
    if not is_trusted(found.__module__):
        raise ConfigError([Problem(f"{key}._target_", how_to_trust(found.__module__))])
    if not issubclass(found, expect):
        what = f"{target} is not a subclass of {expect.__module__}.{expect.__qualname__}, which is expected here"
        raise ConfigError([Problem(f"{key}._target_", what)])
    return found

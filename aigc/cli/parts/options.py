"""Parts that several verbs share: parsers, the most used keys, `--trust`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

_FIRST = ("experiment", "seed")
_OTHERS = (
    "optimizer.lr",
    "trainer.max_steps",
    "trainer.accumulate_grad_batches",
    "trainer.precision",
    "trainer.accelerator",
    "trainer.devices",
    "trainer.strategy",
    "trainer.validate_every_n_steps",
    "trainer.deterministic",
    "run.id",
    "run.resume",
    "paths.outputs",
)
"""The most used keys of the sections that every config has; classes name their own in `often_changed`."""


_WITHOUT_SOURCE = {"optimizer.lr": "Learning rate; where a scheduler changes it, the highest."}
"""Help of keys whose documentation in torch cannot be read without importing torch."""


class VerbParser(argparse.ArgumentParser):
    """A parser whose help ends with an example and, where the verb takes overrides, the most used keys."""

    def __init__(self, verb: str, does: str, example: str, keys: Callable[[], str] | None = None):
        super().__init__(prog=f"aigc {verb}", description=does, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._example = example
        self._keys = keys
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def format_help(self) -> str:
        """Return the help; keys are composed only when it is shown."""
        self.epilog = f"example:\n  {self._example}" + (f"\n\n{self._keys()}" if self._keys else "")
        return super().format_help()

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print the error in one line."""
        print(f"{self.prog}: {message}; `{self.prog} --help` lists the arguments", file=sys.stderr)
        raise SystemExit(2)


class ConfigParser(VerbParser):
    """A parser of a verb that composes a config; its help shows the keys of the config typed on the same line."""

    def __init__(self, verb: str, does: str, example: str):
        super().__init__(verb, does, example, lambda: often_changed(self._typed))
        self._typed: list[str] = []
        add_overrides(self)

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and keep the arguments for the help."""
        self._typed = [text for text in args or [] if "=" in text and not text.startswith("-")]
        options = super().parse_intermixed_args(args, namespace)
        if any("run:" in text for text in options.overrides):
            from aigc.runs.references import settle_typed

            options.overrides = settle_typed(options.overrides)
        return options


def add_overrides(parser: argparse.ArgumentParser, what: str = "key=value, group=choice or ~key") -> None:
    """Add overrides and `--trust`."""
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help=what)
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PACKAGE", help="let _target_ name classes of your own package"
    )


def often_changed(overrides: Sequence[str] = ()) -> str:
    """Return the most used keys, with value and docstring, and all config groups with their choices.

    Args:
        overrides: Overrides of the config.

    Raises:
        ConfigError: A choice does not exist, or a slot of the config holds no class that can be read.
    """
    from aigc.config import compose
    from aigc.config.choices import group_choices
    from aigc.config.keys import known_keys, often_changed_keys
    from aigc.config.types import shown

    cfg = compose(overrides)
    keys = known_keys(cfg)
    lines = ["groups (group=choice):"]
    lines += [f"  {group:<12} {', '.join(choices)}" for group, choices in group_choices().items()]
    lines += [
        "",
        "most used keys (key=value; default in brackets; experiment=NAME --help shows those of another experiment):",
    ]
    for key in (*_FIRST, *often_changed_keys(cfg), *_OTHERS):
        if key in keys:
            value = _select(cfg, key, keys[key].default)
            lines += [
                f"  {key} [{value if isinstance(value, str) else shown(value)}]",
                f"      {keys[key].doc or _WITHOUT_SOURCE.get(key, '')}",
            ]
    return "\n".join(lines)


def fields_help(target: str, title: str, prefix: str = "") -> str:
    """Return the parameters of a class with default and docstring, read from its source."""
    from aigc.config.targets import signature

    lines = [title]
    for name, parameter in signature(target).parameters.items():
        value = "required" if parameter.required else parameter.default
        shown = value if isinstance(value, str) else json.dumps(value, default=str)  # true, null and [1, 2], as in YAML
        lines += [f"  {prefix}{name} [{shown}]", f"      {parameter.doc}"]
    return "\n".join(lines)


def read_value(text: str, kind: Any) -> Any:
    """Parse a value for a parameter of this type: a number, true or false, null, a YAML list, or the text itself.

    Where the parameter takes a text or a list of texts, a list has its texts in quotes: `["a","b"]`, but `[INST]`.
    """
    from aigc.config.types import mismatches

    value = _plain_value(text)
    if any(mismatches("", text, kind)):
        return value
    # `13` may be a text, and a regular expression may look like a list.
    return text if any(mismatches("", value, kind)) or (isinstance(value, list) and not _is_json(text)) else value


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _plain_value(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    if text not in ("true", "false", "null") and text[:1] not in ("[", "{"):
        return text
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def use_trusted(packages: Sequence[str]) -> None:
    """Trust the packages named with `--trust`."""
    from aigc.config.trust import trust

    trust(list(packages))


def _select(cfg: Any, key: str, default: Any) -> Any:
    from omegaconf import OmegaConf

    value = OmegaConf.select(cfg, key, throw_on_missing=False)
    return default if value is None else value

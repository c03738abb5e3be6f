"""`aigc data`: show what a model will see of the data, without training."""

import argparse
from typing import TYPE_CHECKING, Any

from aigc.cli.parts.first_line import print_first_line
from aigc.cli.parts.options import ConfigParser, use_trusted

if TYPE_CHECKING:
    from omegaconf import DictConfig


class DataParser(ConfigParser):
    """The verb's parser; the name of an experiment stands for the override that chooses it."""

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and take a first word without `=` for an experiment or a run."""
        words = list(args or [])
        words[:1] = map(_as_override, words[:1])  # the help shows the keys of this experiment
        options = super().parse_intermixed_args(words, namespace)
        options.overrides[:1] = map(_as_override, options.overrides[:1])
        first = next(iter(options.overrides), "=")
        options.run = None if _is_override(first) else options.overrides.pop(0)
        return options


def _is_override(word: str) -> bool:
    return "=" in word or word.startswith("~")


def _as_override(word: str) -> str:
    """Return the name of an experiment as the override that chooses it; other words as they are."""
    if _is_override(word) or word.startswith("-"):
        return word
    return f"experiment={word}" if word in _experiments() else word


def _experiments() -> list[str]:
    from aigc.config.choices import group_choices

    return group_choices().get("experiment", [])


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = DataParser(
        "data",
        "Prepare the data of a config as `aigc train` does with the same arguments, and show what a model will see:\n"
        "how the data are read, numbers of each split, and the first documents with the learned tokens marked.\n"
        "Nothing is trained; training finds the prepared data in the cache. The first word may be an experiment, or a\n"
        "RUN, whose data are shown, or others with its tokenizer.",
        "aigc data experiment=lm/finetune model.path=model data.path=qa.jsonl --rows 5\n  aigc data latest --tokens",
    )
    made.add_argument("--rows", type=_count, default=3, metavar="N", help="number of documents (3)")
    made.add_argument(
        "--split",
        default="train",
        metavar="NAME",
        help="documents of this split (train): validation, or validation/NAME of data.validation_sets",
    )
    made.add_argument("--tokens", action="store_true", help="show each token with its id")
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def run(options: argparse.Namespace) -> None:
    """Prepare the data, and print what they are."""
    use_trusted(options.trust)
    found = _of_run(options) if options.run else (_of_config(options), None)
    print_first_line(f"{found[0].experiment}, its data")

    from aigc.cli.parts.data_view import print_data
    from aigc.launch.start import prepared_data
    from aigc.runs.console import show_messages

    show_messages()
    print_data(prepared_data(*found), options)


def _of_config(options: argparse.Namespace) -> "DictConfig":
    """Return the config that training would use, checked."""
    from aigc.config import check, compose
    from aigc.config.early import check_early

    cfg = compose(options.overrides)
    check(cfg)
    check_early(cfg)
    return cfg


def _of_run(options: argparse.Namespace) -> tuple["DictConfig", Any]:
    """Return the config of a run with overrides of its data, and its model/ where these are others."""
    from aigc.config import check
    from aigc.config.compose import fill_defaults, override
    from aigc.config.problems import nearest
    from aigc.errors import InputError
    from aigc.runs import Run

    try:
        one = Run.open(options.run)
    except InputError as error:
        near = nearest(options.run, _experiments())
        hint = f" (did you mean {near}?)" if near else ""
        raise InputError(f"{options.run!r} is no experiment{hint}, and {error}") from error
    cfg = override(one.config, options.overrides, ("data",))
    fill_defaults(cfg)  # runs of an older version have fewer keys
    check(cfg)
    if not options.overrides:
        return cfg, None
    from aigc.inference.find import saved_model

    if not one.model.is_dir():
        raise InputError(f"run {one.id} has no model yet, so other data cannot be prepared for it: let it finish")
    saved_model(one).adapt_data(cfg)
    return cfg, one.model


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of documents, such as 3")
    return int(text)

"""`aigc help [KEY]`: all keys of a section, a node or a class, with their defaults and documentation."""

import argparse
import sys

from aigc.cli.parts.options import VerbParser, add_overrides, often_changed, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "help",
        "List every key of a section of the config (trainer), of a node (data, data.tokenizer), or of a class by its\n"
        "dotted path (torch.optim.SGD), with default, type and documentation. Overrides choose the config whose keys\n"
        "are meant.",
        "aigc help data experiment=gan/letters",
    )
    made.add_argument(
        "key",
        metavar="KEY",
        nargs="?",
        help="a key or the beginning of one, a config group, or a class; none: the most used",
    )
    add_overrides(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Print the keys."""
    from aigc.cli.parts.key_help import class_help, key_help

    use_trusted(options.trust)
    key = options.key
    if key is None or "=" in key:
        print(often_changed([key, *options.overrides] if key else []))
        return
    is_class = "." in key and key.rpartition(".")[2][:1].isupper()
    sys.stdout.write(class_help(key) if is_class else key_help(key, options.overrides))

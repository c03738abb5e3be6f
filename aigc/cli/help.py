"""`aigc help [KEY]`: all keys of a section, a node or a class, with their defaults and documentation."""

import argparse
import sys

from aigc.cli.parts.options import VerbParser, add_overrides, use_trusted


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "help",
        "List every key of a section of the config (trainer), of a node (data, data.tokenizer), or of a class by its\n"
        "dotted path (torch.optim.SGD), with default, type and documentation. Overrides choose the config whose keys\n"
        "are meant.",
        "aigc help data experiment=gan/letters",
    )
    made.add_argument("key", metavar="KEY", help="a key or the beginning of one, a config group, or a class")
    add_overrides(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Print the keys."""
    from aigc.cli.parts.key_help import class_help, key_help

    use_trusted(options.trust)
    key = options.key
    is_class = "." in key and key.rpartition(".")[2][:1].isupper()
    sys.stdout.write(class_help(key) if is_class else key_help(key, options.overrides))

"""`aigc chat RUN`: a conversation with a run's language model in the terminal."""

import argparse
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from aigc.cli.parts.chat_commands import KEYS, Commands, check_system, commands_help
from aigc.cli.parts.options import VerbParser, add_trust, fields_help, use_trusted
from aigc.errors import InputError
from aigc.printing import plural, print_json

if TYPE_CHECKING:
    from aigc.inference.parts.asked import Asking

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that a terminal obeys instead of showing them."""


def parser() -> argparse.ArgumentParser:
    """Return the verb's parser."""
    made = VerbParser(
        "chat",
        "Talk with a run's language model: each line is a message, and the answer appears while it is written. The\n"
        "chat template is that of the model; where it was trained without one, each line is a text that it continues,\n"
        "with data.separator of the run. The same seed and settings give what `aigc generate` gives. Lines may come\n"
        "through a pipe.\n"
        f"\ncommands in the conversation:\n{commands_help()}",
        "aigc chat latest temperature=0.8\n  echo 床前明月光 | aigc chat latest seed=3 max_new_tokens=20",
        lambda: fields_help(KEYS, "keys (key=value; default in brackets):"),
    )
    made.add_argument("run", metavar="RUN", help="run id, a unique prefix, a path, latest, or the folder of a model")
    made.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="sampling controls, see below")
    made.add_argument("--json", action="store_true", help="print one JSON object for each answer")
    add_trust(made)
    return made


def run(options: argparse.Namespace) -> None:
    """Read lines and answer them until there are no more."""
    from aigc.cli.parts.chat_lines import open_lines
    from aigc.cli.parts.first_line import print_first_line
    from aigc.cli.parts.typed_keys import read_keys
    from aigc.inference.find import open_model
    from aigc.inference.parts.chat_session import ChatKeys
    from aigc.runs.console import show_messages

    use_trusted(options.trust)
    show_messages()
    keys = ChatKeys(**read_keys(options.overrides, KEYS))
    model = open_model(options.run)
    print_first_line(f"chat with {model.run.id}")
    session = model.chat()
    lines = open_lines()
    check_system(session, keys)
    if not session.answers(keys):
        _say(_continues(session.asking))
    if lines.interactive:
        _say("/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves")
    system = keys.system or (session.system if session.answers(keys) else None)
    commands = Commands(session, replace(keys, system=system), model.run.id)
    Dialogue(commands, lines.interactive, options.json).hold(lines)


def _continues(asking: "Asking") -> str:
    """Say that lines are continued, and why."""
    why = "was not trained with the chat template" if asking.template else "has no chat template"
    after = f", with the separator {asking.separator!r} after it" if asking.separator else ""
    more = "; chat=true talks with the template" if asking.template else ""
    return f"the model {why}: each line is a text that it continues, apart from those before{after}{more}"


class Dialogue:
    """The exchange of lines and answers.

    Args:
        commands: The conversation and its settings.
        interactive: Whether a person sees errors and goes on; otherwise they end it.
        as_json: Print JSON objects in place of texts.
    """

    def __init__(self, commands: Commands, interactive: bool, as_json: bool) -> None:
        self.commands, self.interactive, self.as_json = commands, interactive, as_json
        self._left_out = 0

    def hold(self, lines: Iterable[str]) -> None:
        """Answer lines until there are no more, or one says so."""
        for line in lines:
            try:
                if not self._turn(line):
                    return
            except (InputError, KeyboardInterrupt) as error:
                if not self.interactive:
                    raise
                _say(str(error))

    def _turn(self, line: str) -> bool:
        """Do or answer what a line says; return whether the conversation goes on."""
        if not line.startswith("/") or line.startswith("//"):
            self._answer(line.removeprefix("/") if line.startswith("//") else line)
            return True
        outcome = self.commands.run(line)
        if outcome.said:
            _say(outcome.said)
        if outcome.ask is not None:
            self._answer(outcome.ask, outcome.again)
        return not outcome.leave

    def _answer(self, message: str, again: bool = False) -> None:
        keys = self.commands.keys
        answer = self.commands.session.ask(message, keys, _ignore if self.as_json else _show, again)
        if self.as_json:
            print_json({"prompt": message, "text": answer.text, "seed": keys.seed, "left_out": answer.left_out})
            sys.stdout.flush()
        else:
            print(flush=True)
        if answer.left_out != self._left_out:
            _say(f"the context is full: the oldest {plural(answer.left_out, 'message')} were left out")
            self._left_out = answer.left_out
        if not answer.whole:
            raise KeyboardInterrupt("stopped")


def _show(piece: str) -> None:
    """Print a piece of an answer; a terminal shows what it would otherwise obey."""
    shown = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", piece) if sys.stdout.isatty() else piece
    print(shown, end="", flush=True)


def _ignore(piece: str) -> None:
    """Show nothing of an answer that is printed whole."""


def _say(text: str) -> None:
    if sys.stderr is not None:  # closed
        print(text, file=sys.stderr, flush=True)

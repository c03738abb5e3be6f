"""Commands inside of `aigc chat`: lines that begin with a slash."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aigc.cli.parts.typed_keys import read_keys
from aigc.errors import InputError

if TYPE_CHECKING:
    from aigc.inference.parts.chat_session import ChatKeys, ChatSession

KEYS = "aigc.inference.parts.chat_session.ChatKeys"
COMMANDS = {
    "/set KEY=VALUE ...": "change sampling controls, as temperature=0.8; without any, show them",
    "/seed N": "the seed of the answers from here on",
    "/system TEXT": "what the model is told before the conversation; without TEXT, nothing",
    "/retry": "answer the last message again, with the next seed",
    "/new": "begin a new conversation with the same settings",
    "/save FILE.jsonl": "write the conversation as a row of messages, with its settings",
    "/help": "show these commands",
    "/quit": "leave; so does Ctrl-D. Ctrl-C stops an answer",
}
"""Usage and help of each command."""


class Outcome(NamedTuple):
    """What a command leads to."""

    said: str = ""
    ask: str | None = None
    """A message to answer."""
    again: bool = False
    """Whether it is the last one, whose answer is replaced."""
    leave: bool = False


class Commands:
    """The commands of one conversation, and the settings that they change.

    Args:
        session: The conversation.
        keys: The settings at its beginning.
        name: The id of the run, for files.
    """

    def __init__(self, session: "ChatSession", keys: "ChatKeys", name: str) -> None:
        self.session, self.keys, self.name = session, keys, name
        self._saved: set[Path] = set()

    def run(self, line: str) -> Outcome:
        """Do what a line says.

        Raises:
            InputError: There is no such command, or what follows it is wrong; nothing has changed then.
        """
        word, _, rest = line.strip().partition(" ")
        names = [usage.split()[0] for usage in COMMANDS]
        if word not in names:
            raise InputError(
                f"no command {word}; there are {', '.join(names)}. `//` at the beginning sends a text with /"
            )
        outcome: Outcome = getattr(self, f"_{word[1:]}")(rest.strip())
        return outcome

    def _set(self, rest: str) -> Outcome:
        if rest:
            self.keys = replace(self.keys, **read_keys(_split(rest), KEYS))
        return Outcome(", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in self._settings()))

    def _seed(self, rest: str) -> Outcome:
        return self._set(f"seed={rest}")

    def _system(self, rest: str) -> Outcome:
        check_system(self.session, replace(self.keys, system=rest or None))
        self.keys = replace(self.keys, system=rest or None)
        return Outcome("the system message is set" if rest else "there is no system message now")

    def _retry(self, rest: str) -> Outcome:
        asked = self.session.last_asked
        if asked is None:
            raise InputError("there is nothing to answer again yet")
        self.keys = replace(self.keys, seed=self.keys.seed + 1)
        return Outcome(f"seed={self.keys.seed}", ask=asked, again=True)

    def _new(self, rest: str) -> Outcome:
        self.session.messages.clear()
        return Outcome("a new conversation")

    def _save(self, rest: str) -> Outcome:
        from aigc.inference.parts.files import check_folder, check_free, write

        path = Path(rest).expanduser()
        if path.suffix.lower() != ".jsonl":
            raise InputError(f"/save {rest}: a conversation goes into FILE.jsonl")
        if path.resolve() not in self._saved:
            check_free([path], force=False)
        check_folder(path.parent)
        row = {
            "messages": self.session.with_system(self.keys.system),
            "model": self.name,
            "settings": dict(self._settings()),
        }
        write(path, json.dumps(row, ensure_ascii=False) + "\n")
        self._saved.add(path.resolve())
        return Outcome(str(path))

    def _help(self, rest: str) -> Outcome:
        return Outcome(commands_help())

    def _quit(self, rest: str) -> Outcome:
        return Outcome(leave=True)

    def _settings(self) -> list[tuple[str, Any]]:
        """Return the sampling controls, without those that have no value."""
        values = asdict(self.keys).items()
        return [(name, value) for name, value in values if value is not None and name != "system"]


def check_system(session: "ChatSession", keys: "ChatKeys") -> None:
    """Check that a system message has a place in what the model is asked; raises InputError."""
    if keys.system and not session.answers(keys):
        raise InputError("lines are texts that the model continues, so there is no place for a system message")


def commands_help() -> str:
    """Return all commands, a line each."""
    return "\n".join(f"  {usage:<20} {what}" for usage, what in COMMANDS.items())


def _split(text: str) -> list[str]:
    """Split settings at blanks; quotes and brackets hold a value with blanks together, as in a shell."""
    import shlex

    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"/set {text}: {error}") from error

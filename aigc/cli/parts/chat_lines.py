"""The lines that a person types to `aigc chat`, in a terminal or through a pipe."""

import sys
from collections.abc import Iterator
from typing import Protocol

PROMPT = "> "


class Lines(Protocol):
    """Where lines come from."""

    interactive: bool
    """Whether a person types them: an error is shown, and the conversation goes on."""

    def __iter__(self) -> Iterator[str]:
        """Yield lines that are not blank, until their end."""


def open_lines() -> Lines:
    """Return the lines of the terminal, or those of stdin where it is none."""
    both = [sys.stdin, sys.stderr]
    return TerminalLines() if all(one is not None and one.isatty() for one in both) else PipedLines()


class TerminalLines:
    """Lines edited in a terminal, wide characters included; Ctrl-D ends them, Ctrl-C discards what is typed.

    The prompt goes to stderr, as stdout carries the answers. What was typed before is kept in memory alone.
    """

    interactive = True

    def __init__(self) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.output import create_output

        self._session: PromptSession[str] = PromptSession(
            output=create_output(stdout=sys.stderr), reserve_space_for_menu=0
        )

    def __iter__(self) -> Iterator[str]:
        """Yield lines that are not blank."""
        while True:
            try:
                line = self._session.prompt(PROMPT)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if line.strip():
                yield line


class PipedLines:
    """Lines of stdin in UTF-8."""

    interactive = False

    def __iter__(self) -> Iterator[str]:
        """Yield lines that are not blank; raises InputError for one that is not UTF-8."""
        from aigc.cli.parts.lines import split_lines

        for number, raw in enumerate(sys.stdin.buffer if sys.stdin else (), 1):
            line = "".join(split_lines(raw, f"stdin, line {number}"))
            if line.strip():
                yield line

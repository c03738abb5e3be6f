"""What `data.format` may be; nothing here imports torch."""

from aigc.config.problems import suggest
from aigc.data.text.chat.formats import chat_formats
from aigc.errors import InputError

AUTO, TEXT, PAIRS = "auto", "text", "prompt_completion"


def format_names() -> list[str]:
    """Return the names of all formats."""
    return [AUTO, TEXT, PAIRS, *sorted(chat_formats())]


def check_format(name: str) -> None:
    """Check that there is a format of a name.

    Raises:
        InputError: There is none.
    """
    if name not in format_names():
        raise InputError(f"no format is called {name!r}; {suggest(str(name), format_names())}")

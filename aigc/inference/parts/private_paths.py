"""Paths of a person's machine in what is handed on: their last part alone is kept."""

import re

from aigc.files.secrets import redact

_START = r"(?:~[\w.-]*|\.{1,2}|[A-Za-z]:)?[/\\]"
_PART = r"[^\s/\\,;\[\]{}'\"]+"
_SCHEME = r"[a-z]{2,}:(?!//)"
"""A word before a path, such as `hub:` and `run:`; `//` begins the rest of an address."""
_PATH = re.compile(rf"(?<![\w./~-])(?!(?<=:)//){_START}(?:{_PART}[/\\])*({_PART})[/\\]*")
_WHOLE = re.compile(rf"(?P<scheme>(?:{_SCHEME})?){_START}.*", re.DOTALL)
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def without_folders(text: str) -> str:
    """Return an argument of a command line with names in place of paths, and without secrets.

    A path that begins at the root, at home or at a folder above is replaced by its last part; a relative one inside
    the working directory is kept. A value that is a path as a whole may hold blanks.
    """
    text = text.replace("file://", "")
    key, equals, value = text.partition("=")
    if equals and _WHOLE.fullmatch(value.strip("'\"")) and not _ADDRESS.match(value):
        return f"{redact(key)}={_name(value)}"
    if not equals and _WHOLE.fullmatch(text):
        return _name(text)
    return str(_PATH.sub(lambda found: found[1], redact(text)))


def _name(path: str) -> str:
    path = path.strip("'\"").rstrip("/\\")
    found = _WHOLE.fullmatch(path)
    return (found["scheme"] if found else "") + re.split(r"[/\\]", path)[-1]

"""A file of generated texts."""

import json
from collections.abc import Sequence
from pathlib import Path

from aigc.errors import InputError
from aigc.inference.base import Generated
from aigc.inference.parts.files import check_folder, check_free, write

_ENDINGS = (".txt", ".jsonl")


class TextFile:
    """The file that a person names for generated texts.

    Args:
        out: A name that ends in .txt, for one text after the other, or in .jsonl, for one JSON object for each.
        force: Replace a file that exists.

    Raises:
        InputError: Another ending, a file is in the way, or there is no such folder.
    """

    def __init__(self, out: str, force: bool) -> None:
        self.path = Path(out).expanduser()
        if self.path.suffix.lower() not in _ENDINGS or self.path.is_dir():
            raise InputError(f"--out {out}: texts go into one file; expected FILE.txt or FILE.jsonl")
        check_free([self.path], force)
        check_folder(self.path.parent)

    def write(self, texts: Sequence[Generated]) -> Generated:
        """Write all texts at once; an interrupted command leaves no file.

        Raises:
            InputError: The file cannot be written.
        """
        as_json = self.path.suffix.lower() == ".jsonl"
        lines = [json.dumps(one.record, ensure_ascii=False) if as_json else one.line for one in texts]
        write(self.path, "".join(f"{line}\n" for line in lines))
        return Generated(str(self.path), {"file": str(self.path), "texts": len(texts)})

"""The README and the guides as tests read them: blocks, files that they show, commands, links."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY, write
from tests.launch.forking import server

GUIDES = REPOSITORY / "aigc/guides"
README = REPOSITORY / "README.md"
ENGLISH = [README, *sorted(path for path in GUIDES.glob("*.md") if not path.name.endswith(".zh.md"))]
ENDINGS = {"python": ".py", "yaml": ".yaml", "toml": ".toml", "json": ".jsonl", "text": ".txt"}
"""How the name of a file ends that a block of a language shows."""
Command = list[str]


def in_chinese(page: Path) -> Path:
    """Return the Chinese counterpart of a page."""
    return page.with_name(page.name.replace(".md", ".zh.md"))


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: What stands behind the opening fence.
        code: Its lines.
        file: The file that it shows, which the text before it names; None if it is to be run or only looked at.
    """

    language: str
    code: str
    file: str | None

    def commands(self) -> Iterator[Command]:
        """Split a block of a shell into commands, without comments."""
        for line in self.code.splitlines():
            if command := shlex.split(line.split(" # ")[0]):
                yield command


def blocks(page: Path) -> list[Block]:
    """Return all fenced blocks of a page."""
    found, text = [], page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        language, code = match.groups()
        before = text[: match.start()].rstrip().rpartition("\n\n")[2]
        names = [name for name in re.findall(r"`([^`\s]+)`", before) if name.endswith(ENDINGS.get(language, "\n"))]
        shown = names[-1] if names and "```" not in before else None
        found.append(Block(language, code, shown))
    return found


def commands(page: Path) -> list[Command]:
    """Return all commands of a page."""
    return [command for block in blocks(page) if block.language == "bash" for command in block.commands()]


def write_files(page: Path, place: Path) -> list[str]:
    """Write the files that a page shows, but for TOML, and return their names."""
    shown = [block for block in blocks(page) if block.file and block.language != "toml"]
    for block in shown:
        write(place / block.file, block.code)
        if block.language == "python":
            write(place / Path(block.file).parent / "__init__.py", "")
    return [block.file for block in shown]


def run_page(page: Path, aigc: Callable[..., subprocess.CompletedProcess[str]], place: Path) -> str:
    """Run all commands and all code of a page in their order, and return what they print."""
    ran, printed = 0, ""
    for number, block in enumerate(blocks(page)):
        if block.language == "python" and not block.file:
            printed += _run_code(place / f".block-{number}.py", block.code)
            ran += 1
        for program, *arguments in block.commands() if block.language == "bash" else ():
            if program == "make":
                continue
            if program == "printf":
                write_printed(arguments)
                continue
            assert program == "aigc"
            done = aigc(*arguments)
            assert done.returncode == 0, f"aigc {shlex.join(arguments)}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
            ran += 1
    assert ran >= 2
    return printed


def write_printed(arguments: Command) -> None:
    """Write what `printf` with these arguments prints into the file that they name."""
    *texts, arrow, name = arguments
    assert arrow == ">"
    subprocess.run(f"{shlex.join(['printf', *texts])} > {shlex.quote(name)}", shell=True, check=True)


def links(page: Path) -> list[str]:
    """Return the relative links of a page, pictures included."""
    return [goal for goal in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")) if "://" not in goal]


def _run_code(path: Path, code: str) -> str:
    child = server().start([str(write(path, code))], path.parent, module="tests.docs.code_block")
    assert child.wait() == 0, f"{code}\n{child.output}"
    return child.output

"""Runs of small language models that talk, and a terminal to talk with them."""

import os
import pty
import re
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

from aigc.data.text.tokenizer import TokenizerSettings, make_tokenizer
from aigc.runs import Run
from tests.cli.image_runs import bare_run
from tests.training.helpers import tiny_model
from tests.waiting import PATIENCE

_CONTROL = re.compile(r"(\x1b|\^\[)\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f]")
TEXTS = ["處處聞啼鳥，東風來見國", "夜來風雨聲，門前車馬長", "system user assistant : \n"] * 2
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}:{{ message['content'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def talking_run(place: Path, name: str, template: str | None, config: str = "seed: 0\n", context: int = 96) -> Run:
    """A finished run of a tiny model, whose tokenizer has a chat template or none."""
    run = bare_run(place, name, config)
    settings = TokenizerSettings(kind="character", min_frequency=1, unknown="token")
    tokenizer = make_tokenizer(settings, TEXTS)
    tokenizer.chat_template = template
    tiny_model(SimpleNamespace(tokenizer=tokenizer, sequence_length=context)).save_pretrained(run.model)
    tokenizer.save_pretrained(run.model)
    return run


class Terminal:
    """`aigc ...` in a terminal of its own.

    Args:
        master: The side of the terminal that a person has.
        pid: The process.
    """

    def __init__(self, master: int, pid: int) -> None:
        self.master, self.pid, self.shown = master, pid, b""

    def type(self, text: str) -> None:
        """Type a text, key by key as far as the program can tell."""
        os.write(self.master, text.encode())

    def until(self, what: str) -> str:
        """Wait until something is shown, and return everything since the last call."""
        end = time.monotonic() + PATIENCE
        while what.encode() not in self.shown:
            if time.monotonic() > end or not self._read():
                raise AssertionError(f"{what!r} did not appear in ... {self.shown[-500:].decode(errors='replace')!r}")
        shown, self.shown = self.shown.decode(errors="replace"), b""
        return shown

    def answers(self, count: int) -> None:
        """Wait until keys such as Ctrl-C are signals, as while an answer is written, and so many characters of it."""
        end = time.monotonic() + PATIENCE
        while not termios.tcgetattr(self.master)[3] & termios.ISIG:
            if time.monotonic() > end:
                raise AssertionError("the terminal sends no signals")
            time.sleep(0.01)
        before = self._characters()
        while self._characters() < before + count:
            if time.monotonic() > end or not self._read():
                raise AssertionError(f"no answer in ... {self.shown[-500:].decode(errors='replace')!r}")

    def _characters(self) -> int:
        """How many characters were shown since the last call, without those that say or ask where the cursor is."""
        return len(_CONTROL.sub("", self.shown.decode(errors="ignore")))

    def exit_code(self) -> int:
        """Wait for the end."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.master], [], [], PATIENCE)[0]:
            return False
        with suppress(OSError):  # the other side is closed
            new = os.read(self.master, 4096)
            self.shown += new
            if b"\x1b[6n" in new:  # it asks where the cursor is
                os.write(self.master, b"\x1b[1;1R")
            return bool(new)
        return False


@contextmanager
def terminal(place: Path, *arguments: str) -> Iterator[Terminal]:
    """Start a verb in a terminal, and end it with the block."""
    pid, master = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell ignores it in what it runs in the background
        os.chdir(place)
        os.environ |= {"TERM": "xterm", "AIGC_OUTPUTS": str(place / "outputs"), "COLUMNS": "80", "LINES": "24"}
        os.execv(sys.executable, [sys.executable, "-m", "aigc.cli.main", *arguments])
    try:
        yield Terminal(master, pid)
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(master)

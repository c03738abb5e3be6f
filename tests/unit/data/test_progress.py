"""Progress is a bar for a person who watches and a line for a log."""

import io
import logging
import sys

import pytest

from aigc.data.progress import step


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_on_stderr_and_the_log_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with caplog.at_level(logging.INFO, "aigc"), step("tokenising 3 documents", 3) as advance:
        advance(3)
    assert "tokenising 3 documents" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert not caplog.messages
    assert capsys.readouterr().out == ""


def test_a_log_gets_one_line(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.INFO, "aigc"), step("tokenising 3 documents", 3) as advance:
        advance(1)
        advance(2)
    assert caplog.messages == ["tokenising 3 documents"]
    assert capsys.readouterr().out == ""

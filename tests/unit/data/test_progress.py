"""Progress is a bar for a person who watches and a line for a log."""

import io
import logging
import os
import signal
import sys

import pytest

from aigc.data.progress import step
from aigc.errors import PreemptedRun
from aigc.runs import stop


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


@pytest.mark.parametrize("watched", [False, True], ids=["log", "terminal"])
@pytest.mark.parametrize("moment", ["before", "between", "at the end"])
def test_a_step_stops_when_asked(monkeypatch: pytest.MonkeyPatch, watched: bool, moment: str) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal() if watched else io.StringIO())
    passed = []

    def work() -> None:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        with step("tokenising 3 documents", 3) as advance:
            passed.append("before")
            advance(1)
            if moment == "between":
                os.kill(os.getpid(), signal.SIGTERM)
            advance(1)
            passed.append("between")
            if moment == "at the end":
                os.kill(os.getpid(), signal.SIGTERM)
        passed.append("at the end")

    with stop.listening(), pytest.raises(PreemptedRun, match="SIGTERM"):
        work()
    moments = ["before", "between", "at the end"]
    assert passed == moments[: moments.index(moment)]


def test_a_step_that_failed_says_why_and_not_that_it_was_asked_to_stop() -> None:
    def work() -> None:
        with step("reading"):
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("line 3")

    with stop.listening(), pytest.raises(ValueError, match="line 3"):
        work()

"""Real signals to real processes: the first is noted, the second ends at once, forked children do not act."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aigc.errors import InterruptedRun, PreemptedRun, exit_code
from aigc.launch.ranks.lifeline import LIFELINE
from aigc.runs import stop
from tests.waiting import PATIENCE, takes_at_most

pytestmark = pytest.mark.slow

# Says "ready", works until it is asked to stop, and ends as a run does.
POLITE = """
import sys, time
from aigc.runs import stop
from aigc.errors import exit_code
def work():
    with stop.listening():
        print("ready", flush=True)
        while True:
            time.sleep(0.01)
            stop.check("; kept")
try:
    work()
except Exception as error:
    print(error, flush=True)
    sys.exit(exit_code(error))
"""

# Never asks.
DEAF = """
import sys, time
from aigc.runs import stop
def note(number):
    open(sys.argv[1], "w").write(str(int(number)))
    {in_note}
with stop.listening({at_once}):
    print("ready", flush=True)
    {work}
"""
LOOP = "time.sleep(900)"
# A mutex of C locked twice: Python runs no handler in there, as in a collective of which one rank is gone.
HANG = (
    "import ctypes; libc = ctypes.CDLL(None); mutex = ctypes.create_string_buffer(64);"
    " libc.pthread_mutex_lock(mutex); libc.pthread_mutex_lock(mutex)"
)


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def deaf(work: str = LOOP, at_once: str = "", in_note: str = "pass") -> str:
    return DEAF.format(work=work, at_once=at_once, in_note=in_note)


def twice(process: subprocess.Popen[str], first: int, second: int, pause: float = 1.0) -> str:
    process.send_signal(first)
    time.sleep(pause)
    assert process.poll() is None
    process.send_signal(second)
    return process.communicate(timeout=PATIENCE)[1]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "interrupted; kept"),
        (signal.SIGTERM, 75, "asked to stop (SIGTERM); kept"),
        (signal.SIGUSR1, 75, "asked to stop (SIGUSR1); kept"),
        (signal.SIGUSR2, 75, "asked to stop (SIGUSR2); kept"),
    ],
)
def test_the_first_signal_stops_where_the_work_asks(number: int, code: int, said: str) -> None:
    process = started(POLITE)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.strip(), err) == (code, said, "")


@pytest.mark.parametrize(("first", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGUSR1, 75)])
def test_a_second_signal_exits_at_once_with_the_code_of_the_first(first: int, code: int, tmp_path: Path) -> None:
    process = started(deaf(at_once="note"), tmp_path / "note")
    with takes_at_most(3):
        err = twice(process, first, signal.SIGUSR2 if first == signal.SIGUSR1 else signal.SIGTERM)
    assert process.returncode == code
    assert err.strip().splitlines() == [
        f"aigc: asked twice to stop, first by {signal.Signals(first).name}: ended at once"
    ]
    assert (tmp_path / "note").read_text() == str(int(first))


def test_the_term_that_a_cluster_sends_after_its_notice_is_the_same_request() -> None:
    process = started(deaf("time.sleep(3)"))
    twice(process, signal.SIGUSR1, signal.SIGTERM)
    assert process.returncode == 0


def test_a_process_that_hangs_outside_python_is_ended_too(tmp_path: Path) -> None:
    process = started(deaf(HANG, "note"), tmp_path / "note")
    with takes_at_most(3):
        twice(process, signal.SIGINT, signal.SIGINT)
    assert process.returncode == 130
    assert (tmp_path / "note").exists()


def test_signals_close_together_are_one_request(tmp_path: Path) -> None:
    process = started(deaf())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        process.send_signal(number)
        time.sleep(0.02)
    time.sleep(1.0)
    assert process.poll() is None  # so far it was asked once
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130


@pytest.mark.parametrize("trouble", ["raise SystemExit(7)", "1 / 0"])
def test_trouble_in_at_once_changes_nothing(trouble: str, tmp_path: Path) -> None:
    process = started(deaf(at_once="note", in_note=trouble), tmp_path / "note")
    err = twice(process, signal.SIGTERM, signal.SIGTERM)
    assert process.returncode == 75
    assert "ended at once" in err
    assert "Traceback" not in err


def test_at_once_does_not_hang_the_end(tmp_path: Path) -> None:
    process = started(deaf(at_once="note", in_note="time.sleep(900)"), tmp_path / "note")
    with takes_at_most(11):
        twice(process, signal.SIGTERM, signal.SIGTERM)
    assert process.returncode == 75


def test_without_listening_a_signal_kills() -> None:
    process = started("import time; from aigc.runs import stop; print('ready', flush=True); time.sleep(900)")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGUSR1


def test_a_forked_child_does_not_act_and_can_be_terminated() -> None:
    code = """
import os, signal, sys, time
from aigc.runs import stop
with stop.listening():
    child = os.fork()
    if not child:
        while True:
            time.sleep(0.01)
            stop.check()
    time.sleep(0.3)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGINT, signal.SIGUSR2):
        os.kill(child, number)
        time.sleep(0.6)
    print("ready", flush=True)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the child ended by itself"
    assert stop.asked() is None, "the child's signals reached the parent"
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
"""
    process = started(code)
    err = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, err) == (0, "")


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in stop.SIGNALS]


def test_handlers_and_wakeup_are_put_back_and_the_request_is_forgotten() -> None:
    before = handlers()
    threads = threading.active_count()
    for number in stop.SIGNALS:
        with stop.listening():
            assert handlers() != before
            assert stop.asked() is None
            stop.check()
            os.kill(os.getpid(), number)
            assert stop.asked() is number
        assert stop.asked() is None
    assert handlers() == before
    assert threading.active_count() == threads
    told = signal.set_wakeup_fd(-1)
    assert told == -1


def test_an_inner_listening_keeps_the_request_of_the_outer() -> None:
    with stop.listening():
        with stop.listening():
            os.kill(os.getpid(), signal.SIGUSR2)
        assert stop.asked() is signal.SIGUSR2
        with stop.listening(), pytest.raises(PreemptedRun, match=r"asked to stop \(SIGUSR2\)$"):
            stop.check()
        assert stop.asked() is signal.SIGUSR2


_HELD = """
import time
from aigc.errors import PreemptedRun
from aigc.launch.ranks.lifeline import hold_lifeline, save_first
from aigc.runs import stop

with stop.listening():
    hold_lifeline()
    if {joined}:
        save_first()
    print("ready", flush=True)
    while stop.asked() is None:
        time.sleep(0.01)
    try:
        stop.check("; kept")
    except PreemptedRun as error:
        print(error)
"""


@pytest.mark.parametrize("joined", [True, False])
def test_a_launcher_that_is_gone_ends_the_process(joined: bool) -> None:
    """One that has joined the others saves and says why; one that waits for them ends at once."""
    reader, writer = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", _HELD.format(joined=joined)],
        env=os.environ | {LIFELINE: str(reader)},
        pass_fds=[reader],
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(reader)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    os.close(writer)
    told, _ = child.communicate(timeout=PATIENCE)
    assert told == ("asked to stop (the launching process is gone); kept\n" if joined else "")
    assert child.returncode == (0 if joined else PreemptedRun.exit_code)


def test_listening_outside_the_main_thread_does_nothing() -> None:
    before, seen = handlers(), []

    def run() -> None:
        with stop.listening():
            seen.append((handlers() == before, stop.asked()))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(True, None)]


def test_take_over_after_a_library_put_its_own_handler() -> None:
    before = handlers()
    with stop.listening():
        mine = handlers()
        signal.signal(signal.SIGTERM, lambda number, frame: pytest.fail("the library's handler ran"))
        stop.take_over()
        assert handlers() == mine
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked() is signal.SIGTERM
    assert handlers() == before
    stop.take_over()
    assert handlers() == before


def test_how_a_run_ends() -> None:
    assert stop.exit_for(signal.SIGINT) is InterruptedRun
    assert {stop.exit_for(number) for number in stop.SIGNALS[1:]} == {PreemptedRun}
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(InterruptedRun, match=r"^interrupted at step 3$") as caught:
            stop.check(" at step 3")
    assert exit_code(caught.value) == 130

"""The worker as a launcher starts it: a process of its own that knows nothing but the run folder."""

import os
import signal
import subprocess
import sys

import pytest

from aigc.runs import Run
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

START = (
    "import sys; from aigc.config import compose; from aigc.launch.start import start\n"
    "print(start(compose(sys.argv[1:]), sys.argv[1:]).path)"
)


def frozen(place, *overrides):
    done = subprocess.run([sys.executable, "-c", START, *overrides], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return Run.open(place / done.stdout.strip())


def worker(run):
    command = [sys.executable, "-m", "aigc.launch.worker", str(run.path)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, env=os.environ)


def test_a_frozen_run_is_pending_and_then_worked_on(own_place):
    run = frozen(own_place, "debug=fast", "logger=none")
    assert run.status == "pending"
    done = worker(run)
    assert done.returncode == 0, done.stderr
    assert run.status == "finished"
    assert (run.model / "config.json").is_file()
    made = run.log.stat().st_mode  # a file as this process makes them
    assert {path.stat().st_mode for path in run.model.rglob("*") if path.is_file()} == {made}


def test_a_failure_is_in_the_status_the_manifest_and_the_log(own_place):
    (own_place / "mine.txt").write_text("春眠不覺曉\n處處聞啼鳥\n夜來風雨聲\n花落知多少\n" * 20, encoding="utf-8")
    run = frozen(
        own_place, "debug=fast", f"data.path={own_place}/mine.txt", "data.text_column=null", "data.batch_size=1"
    )
    (own_place / "mine.txt").unlink()
    done = worker(run)
    assert done.returncode == 2
    assert "mine.txt" in done.stderr
    assert run.status == "failed"
    assert run.manifest["attempts"][-1]["exit_code"] == 2
    assert "Traceback" in run.log.read_text("utf-8")


def test_a_killed_run_reads_as_killed(own_place):
    run = frozen(own_place, "trainer.max_steps=100000", "callbacks.progress.every_seconds=0")
    command = [sys.executable, "-m", "aigc.launch.worker", str(run.path)]
    process = subprocess.Popen(command, cwd="/", stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "step 2 of" in line:
            break
    assert run.status == "running"
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE)
    process.stderr.close()
    assert run.status == "killed"

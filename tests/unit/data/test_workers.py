"""A real loader with two workers, and real signals to them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, slowness, wait_until

pytestmark = pytest.mark.slow

# Prints the workers' ids, waits for a line on stdin at batch 5, counts what comes, and says how long the end took.
LOADER = """
import sys, time
from torch.utils.data import DataLoader, Dataset
from aigc.data.workers import leave_signals_alone
from aigc.errors import exit_code
from aigc.runs import stop

class Numbers(Dataset):
    def __len__(self):
        return 60
    def __getitem__(self, index):
        time.sleep(0.005)
        return index

def work():
    loader = DataLoader(Numbers(), num_workers=2, persistent_workers=True, {setting})
    got = 0
    batches = iter(loader)
    for number in batches:
        got += 1
        if got == 5:
            print(*[worker.pid for worker in batches._workers], flush=True)
            sys.stdin.readline()
        if sys.argv[1:] == ["ask"]:
            stop.check()
    print(got, flush=True)
    began = time.monotonic()
    del loader, batches
    print(time.monotonic() - began, flush=True)

if __name__ == "__main__":
    try:
        with stop.listening():
            work()
    except Exception as error:
        print(error, file=sys.stderr)
        sys.exit(exit_code(error))
"""


def started(
    setting: str = "worker_init_fn=leave_signals_alone", *arguments: str
) -> tuple[subprocess.Popen[str], list[int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOADER.format(setting=setting), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, [int(pid) for pid in process.stdout.readline().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_to_workers_disturb_nothing_and_the_end_is_prompt(number: int) -> None:
    process, workers = started()
    assert len(workers) == 2
    for pid in workers:
        os.kill(pid, number)
    time.sleep(0.2)
    assert all(map(alive, workers))
    out, err = process.communicate("go\n", timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    got, took = out.split()
    assert int(got) == 60
    assert float(took) < 2 or float(took) < 2 * slowness()
    assert not any(map(alive, workers))


def test_without_it_a_worker_dies_of_sigterm_and_takes_the_loader_with_it() -> None:
    process, workers = started("worker_init_fn=None")
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    _, err = process.communicate("go\n", timeout=PATIENCE)
    assert process.returncode == 1
    assert re.search("is killed by signal: Terminated|exited unexpectedly", err)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_a_signal_to_the_whole_group_ends_the_loop_where_it_asks(number: int, code: int) -> None:
    process, workers = started("worker_init_fn=leave_signals_alone", "ask")
    os.killpg(process.pid, number)
    _, err = process.communicate("go\n", timeout=PATIENCE)
    assert process.returncode == code
    assert err.strip() in ("interrupted", "asked to stop (SIGTERM)", "asked to stop (SIGUSR1)")
    assert not any(map(alive, workers))


def test_workers_vanish_when_the_main_process_is_killed() -> None:
    process, workers = started()
    process.kill()
    process.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(map(alive, workers)), pause=0.1)  # they look for their parent every five seconds


def test_a_loader_that_was_never_closed_does_not_hold_up_the_end():
    code = (
        "import sys\nfrom torch.utils.data import dataloader\nfrom aigc.data.loader import training_loader\n"
        "dataloader._MultiProcessingDataLoaderIter.__del__ = lambda self: None\n"
        "sys.kept = iter(training_loader(range(100), 2, 0, num_workers=2))\nnext(sys.kept)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")

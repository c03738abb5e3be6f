"""A real SLURM of one node, started by hand in a folder: no systemd, no database, ports of its own."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.waiting import PATIENCE, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "srun")
_TEMPLATE = Path(__file__).with_name("slurm.conf.in")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def missing() -> str | None:
    """Why there can be no SLURM here."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"no {', '.join(absent)} here: `make slurm-packages` installs them on Debian and Ubuntu, as root"
    return None if os.geteuid() == 0 else "slurmd runs as root alone"


class OneNode:
    """The daemons, and the commands that ask them.

    Args:
        folder: Configuration, state and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.conf = folder / "slurm.conf"
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them, and wait for the node."""
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        values = {"HOST": self.host, "FOLDER": str(self.folder)}
        values |= {"CONTROLLER_PORT": str(_free_port()), "NODE_PORT": str(_free_port())}
        text = _TEMPLATE.read_text("utf-8")
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        self.conf.write_text(text, "utf-8")
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        files = {name: self.folder / f"munge.{name.split('-')[0]}" for name in ("key-file", "socket", "pid-file")}
        files |= {"log-file": self.folder / "munged.log", "seed-file": self.folder / "munged.seed"}
        self._daemon("munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items()))
        wait_until(files["socket"].exists)
        self._daemon("slurmctld", "-D", "-f", str(self.conf))
        self._daemon("slurmd", "-D", "-f", str(self.conf), "-N", self.host)
        wait_until(lambda: self.run("sinfo", "-h", "-o", "%T") == "idle", self.output, pause=0.1)

    def stop(self) -> None:
        """End what runs, and the daemons."""
        subprocess.run(["scancel", "--user=root"], env=self.env, capture_output=True, timeout=PATIENCE)
        wait_until(lambda: not self.run("squeue", "-h"), self.output, pause=0.2)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    @property
    def host(self) -> str:
        """The node's name."""
        return socket.gethostname().partition(".")[0]

    @property
    def env(self) -> dict[str, str]:
        """The environment of whoever asks."""
        return os.environ | {"SLURM_CONF": str(self.conf), "PATH": _PATH}

    def run(self, *command: str) -> str:
        """What a command of SLURM says, or nothing when it fails."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.strip() if done.returncode == 0 else ""

    def state(self, job: str) -> str:
        """The state of a job; empty when it is forgotten."""
        return self.run("squeue", "-h", "--states=all", "-o", "%T", "-j", job)

    def field(self, job: str, name: str) -> str:
        """A field of `scontrol show job`."""
        words = self.run("scontrol", "show", "job", job).split()
        return next((word.partition("=")[2] for word in words if word.startswith(f"{name}=")), "")

    def start_now(self, job: str) -> None:
        """Take away the two minutes that a requeued job waits, once it has left the node."""
        wait_until(lambda: self.state(job) == "PENDING", lambda: self.state(job), pause=0.1)
        assert self.field(job, "Restarts") != "0"
        time.sleep(2)  # slurmd revokes the credential of the attempt before, to the second
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now")

    def signal_tasks(self, job: str, number: signal.Signals) -> int:
        """Signal the direct children of the slurmstepd of a job's ranks, as a cluster with cgroups does; how many."""
        told = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = stat.read_text("utf-8").rpartition(") ")[2].split()[1]
                if f"slurmstepd: [{job}.0]" in (stat.parents[1] / parent / "cmdline").read_text("utf-8", "replace"):
                    os.kill(int(stat.parent.name), number)
                    told += 1
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
        return told

    def output(self) -> str:
        """The end of the logs."""
        return "\n".join(path.read_text("utf-8", "replace")[-1500:] for path in self.folder.glob("*.log"))

    def _daemon(self, name: str, *arguments: str) -> None:
        program = shutil.which(name, path=_PATH)
        assert program
        with (self.folder / f"{name}.out").open("wb") as output:
            self._daemons.append(
                subprocess.Popen(
                    [program, *arguments], env=self.env, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            )


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port

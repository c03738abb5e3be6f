"""`python -m MODULE ...` and torchrun without seconds of imports, as children of the fork server."""

import signal
import tempfile
from pathlib import Path

from tests.launch.forking import REPOSITORY, Child, server
from tests.waiting import wait_until


def run_module(name: str, *arguments: object, **env: str) -> str:
    """Run a module as the main program of a process; return its output."""
    return run_ranks(name, 1, *arguments, **env)


def run_ranks(name: str, ranks: int, *arguments: object, **env: str) -> str:
    """Run a module as several ranks that connect as those of torchrun; return the output of all.

    Args:
        name: The module.
        ranks: How many; with one there is no group to meet.
        arguments: Those of its command line.
        env: Environment variables, beside those of this process.
    """
    from aigc.launch.ranks.supervisor import _free_port

    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "GROUP_RANK": "0"}
    shared |= {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "TORCHELASTIC_RUN_ID": "tests"}
    children = []
    with tempfile.TemporaryDirectory() as folder:
        for rank in range(ranks):
            own = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} if ranks > 1 else {}
            output = Path(folder) / f"{rank}.txt"
            output.touch()
            streams = (Path("/dev/null"), output, output)
            given = list(map(str, arguments))
            children.append(server().start(given, REPOSITORY, streams=streams, module=name, **(own | env)))
        try:
            wait_until(lambda: all(child.ended for child in children) or any(map(failed, children)))
        finally:
            for child in children:
                child.send_to_group(signal.SIGKILL)
        message = "".join((Path(folder) / f"{rank}.txt").read_text("utf-8") for rank in range(ranks))
        assert not any(map(failed, children)), message
    return message


def failed(child: Child) -> bool:
    """Whether the process has failed."""
    return child.ended and child.wait() != 0

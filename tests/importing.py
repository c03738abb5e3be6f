"""What a piece of code imports: each runs in a fork of one process that has imported only what is always needed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SERVE = """
import importlib, json, os, sys, traceback
asked = json.load(sys.stdin)
for name in asked["first"]:
    importlib.import_module(name)
for number, code in enumerate(asked["codes"]):
    sys.stdout.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            exec(code, {"__name__": "__main__"})
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os.write(writer, json.dumps(sorted(set(asked["names"]) & set(sys.modules))).encode())
        os._exit(0)
    os.close(writer)
    found = os.read(reader, 1 << 16)
    os.close(reader)
    if os.waitpid(child, 0)[1]:
        sys.exit(f"this failed: {code}")
    print(found.decode())
"""


def imported(
    codes: Sequence[str],
    names: Sequence[str],
    first: Sequence[str] = (),
    place: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> list[list[str]]:
    """Find which of these modules each piece of code has imported at its end.

    Args:
        codes: Pieces of Python.
        names: The modules that are looked for.
        first: Modules that all pieces need, imported once; what they import counts for each piece.
        place: The working directory.
        env: Environment variables, beside those of this process.
    """
    asked = json.dumps({"codes": list(codes), "names": list(names), "first": list(first)})
    done = subprocess.run(
        [sys.executable, "-c", _SERVE],
        input=asked,
        cwd=place,
        env=os.environ | dict(env or {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]

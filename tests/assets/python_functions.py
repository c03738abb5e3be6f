"""Writes the bundled Python functions: those of aigc itself; `python -m tests.assets.python_functions`."""

import ast
import json
import random
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import aigc
from aigc import assets

PACKAGE = Path(aigc.__file__).parent
LONGEST = 16
"""Lines of a body."""


def functions() -> Iterator[dict[str, str]]:
    """Functions with a docstring and a short body: the head of each with its docstring, and the body."""
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        lines = source.splitlines(keepends=True)
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.FunctionDef) or ast.get_docstring(node) is None or len(node.body) < 2:
                continue
            begin, end = node.body[1].lineno - 1, node.end_lineno or 0
            head = textwrap.dedent("".join(lines[node.lineno - 1 : begin]))
            body = "".join(lines[begin:end])
            indent = " " * (node.body[1].col_offset - node.col_offset)
            if end - begin <= LONGEST:
                yield {"prompt": head, "completion": textwrap.indent(textwrap.dedent(body), indent)}


def main() -> None:
    """Write the file."""
    rows = {json.dumps(row, ensure_ascii=False): None for row in functions()}
    chosen = random.Random(0).sample(sorted(rows), len(rows))
    (Path(assets.__file__).parent / "python_functions.jsonl").write_text("\n".join(chosen) + "\n", "utf-8")
    sys.stdout.write(f"python_functions: {len(chosen)}\n")


if __name__ == "__main__":
    main()

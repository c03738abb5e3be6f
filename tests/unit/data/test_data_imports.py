"""What checks a config or reads a file does not wait for torch."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import {module}
print(sorted({{"torch", "transformers", "datasets", "pyarrow", "pytorch_lightning"}} & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["sources", "split", "packing", "tokenizer_settings"])
def test_reading_splitting_and_packing_import_nothing_heavy(module: str) -> None:
    program = PROGRAM.format(module=f"aigc.data.text.{module}")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_check_sees_a_heavy_import() -> None:
    program = PROGRAM.format(module="pyarrow")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pyarrow" in done.stdout

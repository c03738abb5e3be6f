"""Whoever only reads images does not wait for torch."""

import subprocess
import sys

PROGRAM = """
import sys
import aigc.data.images as images
images.open_images("asset:emoji32.png").fingerprint()
images.open_images("fonts:letters").read(0)
{more}
print(sorted({{"torch", "transformers", "pytorch_lightning", "matplotlib", "h5py", "datasets"}} & set(sys.modules)))
"""


def heavy(more: str = "") -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(more=more)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_sets_of_images_import_nothing_heavy() -> None:
    assert heavy() == "[]"


def test_what_needs_torch_is_imported_when_it_is_asked_for() -> None:
    assert "torch" in heavy("images.to_float")

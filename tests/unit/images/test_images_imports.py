"""Whoever only reads images does not wait for torch."""

from tests.importing import imported

READ = """
import aigc.data.images as images
images.open_images("asset:emoji32.png").fingerprint()
images.open_images("fonts:letters").read(0)
"""
HEAVY = ["torch", "transformers", "pytorch_lightning", "matplotlib", "h5py", "datasets"]


def test_sets_of_images_import_nothing_heavy_until_torch_is_needed() -> None:
    nothing, torch = imported([READ, READ + "images.to_float"], HEAVY)
    assert nothing == []
    assert "torch" in torch

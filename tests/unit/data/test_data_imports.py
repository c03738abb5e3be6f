"""What checks a config or reads a file does not wait for torch."""

from tests.importing import imported

HEAVY = ["torch", "transformers", "datasets", "pyarrow", "pytorch_lightning"]


def test_reading_splitting_and_packing_import_nothing_heavy() -> None:
    modules = [f"aigc.data.text.{name}" for name in ("sources", "split", "packing", "tokenizer_settings")]
    found = imported([f"import {module}" for module in modules], HEAVY)
    assert dict(zip(modules, found, strict=True)) == {module: [] for module in modules}


def test_the_check_sees_a_heavy_import() -> None:
    assert imported(["import pyarrow"], HEAVY) == [["pyarrow"]]

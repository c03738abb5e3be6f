"""The direction of imports, and what is never imported for a quick answer."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from aigc.runs import Run

PACKAGE = Path(__file__).resolve().parents[2] / "aigc"
# Each layer may import itself and those after it.
LAYERS = [
    ["cli"],
    ["inference"],
    ["launch"],
    ["evaluation"],
    ["callbacks"],
    ["tasks"],
    ["optim"],
    ["augmentation"],
    ["generation"],
    ["losses"],
    ["metrics"],
    ["data"],
    ["models"],
    ["logger"],
    ["distributed"],
    ["runs"],
    ["config"],
    ["assets"],
    ["errors"],
    ["aigc"],
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
HEAVY = ("torch", "transformers", "pytorch_lightning", "datasets", "pandas", "wandb")


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "aigc"


def imports():
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        if inside[0].startswith("__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                if name and name.split(".")[0] == "aigc":
                    yield str(path.relative_to(PACKAGE)), inside[0], layer(name)


def test_imports_run_one_way():
    wrong = [(path, imported) for path, own, imported in imports() if RANK[imported] < RANK[own]]
    assert wrong == []


def test_every_package_has_its_place():
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] not in "_."} - {"conf"} <= set(
        RANK
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["generate", "--help"],
        ["validate"],
        ["validate", "trainer.max_stepz=1"],
        ["train", "trainer.max_stepz=1"],
        ["ls"],
        ["submit", "--help"],
        ["submit", "--dry-run"],
        ["submit", "trainer.devices=3"],
        ["cancel", "nothing"],
        ["show", "nothing"],
        ["resume", "nothing"],
        ["sweep", "--help"],
        ["sweep", "seed=0,1", "--dry-run"],
        ["train", "seed=0,1", "trainer.max_stepz=1"],
        ["sweep", "status", "nothing"],
        ["sweep", "table", "nothing"],
        ["sweep", "best", "nothing"],
        ["reproduce", "nothing"],
        ["verify", "nothing"],
        ["score", "--help"],
        ["score", __file__, __file__, "--compare", __file__],
    ],
)
def test_quick_answers_import_nothing_heavy(arguments, own_place):
    assert heavy_imports(arguments) == "[]"


@pytest.mark.parametrize("arguments", [["ls"], ["show", "latest"], ["cancel", "latest"]])
def test_looking_at_a_submitted_run_imports_nothing_heavy(arguments, own_place):
    run = Run.create(own_place / "outputs/runs", "one", "seed: 0\n")
    run.update_manifest(jobs=[{"cluster": "aigc.launch.clusters.slurm.Slurm", "id": "12", "submitted": ""}])
    assert heavy_imports(arguments) == "[]"


def heavy_imports(arguments):
    code = (
        "import sys\nfrom aigc.cli.main import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1]


def test_a_heavy_import_would_be_seen(own_place):
    code = f"import sys, torch\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    assert "torch" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout

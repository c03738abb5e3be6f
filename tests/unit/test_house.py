"""The direction of imports, and what is never imported for a quick answer."""

import ast
from collections import Counter
from pathlib import Path

import pytest

from aigc.runs import Run
from aigc.runs.manifest import SubmittedJob
from tests.conftest import REPOSITORY
from tests.importing import imported

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
    ["files"],
    ["printing"],
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
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders - {"conf", "guides"} <= set(RANK)


QUICK = [
    ["--help"],
    ["train", "--help"],
    ["generate", "--help"],
    ["chat", "--help"],
    ["chat", "nothing"],
    ["validate"],
    ["validate", "trainer.max_stepz=1"],
    ["train", "trainer.max_stepz=1"],
    ["train", "data.path=nowhere/x.txt"],
    ["train", "run.id=a/b"],
    ["data", "--help"],
    ["data", "nothing"],
    ["data", "data.path=nowhere/x.txt"],
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
]
"""Commands that answer without torch."""


def heavy_imports(place, *commands):
    """Which heavy packages each command imports."""
    codes = [f"from aigc.cli.main import main\nmain({arguments!r})" for arguments in commands]
    env = {"AIGC_OUTPUTS": str(place / "outputs")}
    return imported(codes, HEAVY, ["aigc.cli.main", "aigc.config.compose", "hydra"], place, env)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory):
    place = tmp_path_factory.mktemp("quick")
    return dict(zip(map(str, QUICK), heavy_imports(place, *QUICK), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_quick_answers_import_nothing_heavy(arguments, heavy):
    assert heavy[str(arguments)] == []


def test_looking_at_a_submitted_run_imports_nothing_heavy(own_place):
    run = Run.create(own_place / "outputs/runs", "one", "seed: 0\n")
    with run.edit_manifest() as manifest:
        manifest.note_job(SubmittedJob(cluster="aigc.launch.clusters.slurm.Slurm", id="12"))
    assert heavy_imports(own_place, ["ls"], ["show", "latest"], ["cancel", "latest"]) == [[], [], []]


def test_a_heavy_import_would_be_seen():
    assert imported(["import torch"], HEAVY) == [["torch"]]


def test_no_two_files_of_tests_share_a_name():
    """Without packages, pytest imports the second one as the first."""
    names = Counter(path.name for path in (REPOSITORY / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []

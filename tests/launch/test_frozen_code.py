"""The copy of the code when a run is submitted."""

import os
import subprocess
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.launch.clusters.frozen_code import freeze_code

LIMIT = 50_000_000


@pytest.fixture
def project(own_place: Path) -> Path:
    """A repository with a commit, and changes of every kind since then."""

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *arguments], cwd=own_place, check=True, capture_output=True)

    git("init", "-q")
    files = {"kept.py": b"1\n", "changed.py": b"old\n", "removed.py": b"x\n", "table.bin": bytes(range(256)) * 40}
    for name, content in {**files, ".gitignore": b"ignored.py\n", "outputs/tracked.py": b"x\n"}.items():
        (own_place / name).parent.mkdir(exist_ok=True)
        (own_place / name).write_bytes(content)
    (own_place / "link.py").symlink_to("kept.py")
    git("add", "-A", "-f")
    git("commit", "-qm", "one")
    (own_place / "changed.py").write_bytes(b"new\n")
    (own_place / "table.bin").write_bytes(b"\0\xff" * 30_000)
    (own_place / "removed.py").unlink()
    (own_place / "staged.py").write_bytes(b"staged\n")
    git("add", "staged.py")
    for name in ("untracked.py", "模型.py", "ignored.py", "notes.csv", "outputs/run.py"):
        (own_place / name).write_bytes(b"later\n")
    return own_place


def freeze(project: Path, limit: int = LIMIT) -> list[Path]:
    run = project / "outputs/runs/one"
    run.mkdir(parents=True)
    return freeze_code(run, project / "outputs", limit)


def test_the_copy_is_the_commit_with_changes_and_untracked_code(project):
    folders = freeze(project)
    copy = project / "outputs/runs/one/code/project"
    names = {str(path.relative_to(copy)) for path in copy.rglob("*")}
    expected = {"kept.py", "changed.py", "table.bin", "link.py", ".gitignore", "staged.py", "untracked.py", "模型.py"}
    assert names == expected
    assert (copy / "changed.py").read_bytes() == b"new\n"
    assert (copy / "table.bin").read_bytes() == b"\0\xff" * 30_000
    assert (copy / "link.py").is_symlink()
    assert (copy / "link.py").read_bytes() == b"1\n"
    assert folders[-1] == copy
    assert [path.name for path in copy.parents[1].iterdir()] == ["code"]


def test_a_run_from_a_checkout_takes_the_package_and_its_configs_along(project):
    first = freeze(project)[0]
    assert (first / "aigc/cli/main.py").is_file()
    assert (first / "conf/train.yaml").is_file()
    assert not (first / "tests").exists()
    code = "import aigc; from aigc.config.locate import conf_folder; print(aigc.__file__, conf_folder())"
    import sys

    env = os.environ | {"PYTHONPATH": str(first)}
    done = subprocess.run([sys.executable, "-P", "-c", code], env=env, capture_output=True, text=True, cwd=project)
    assert done.stdout.split() == [f"{first}/aigc/__init__.py", f"{first}/conf"], done.stderr


def test_a_folder_below_the_top_is_the_one_that_is_imported_from(project, monkeypatch):
    (project / "sub").mkdir()
    (project / "sub/mine.py").write_text("x = 1\n")
    monkeypatch.chdir(project / "sub")
    assert freeze(project)[-1] == project / "outputs/runs/one/code/project/sub"


def test_too_much_code_is_refused_by_name_and_leaves_nothing(project):
    with pytest.raises(InputError, match=r"cluster.code_megabytes") as raised:
        freeze(project, 1_000)
    assert list((project / "outputs/runs/one").iterdir()) == []
    assert "MB" in str(raised.value)


def test_a_folder_without_a_repository_is_not_copied(own_place):
    folders = freeze(own_place)
    assert [path.name for path in folders] == ["aigc"]
    assert not (own_place / "outputs/runs/one/code/project").exists()

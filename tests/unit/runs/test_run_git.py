import subprocess
from pathlib import Path

import pytest

from aigc.runs import git
from aigc.runs.git import code_patch, git_state


def run(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "my code 代码"
    folder.mkdir()
    run(folder, "init", "-b", "main")
    return folder


def commit(folder: Path) -> None:
    (folder / "诗 1.txt").write_text("old\n")
    run(folder, "add", "-A")
    run(folder, "commit", "-m", "first")


def test_outside_a_repository(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
    assert code_patch(tmp_path) == ""
    assert git_state(tmp_path / "missing") is None


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert git_state(repository) is None
    assert code_patch(repository) == ""


def test_before_the_first_commit(repository: Path) -> None:
    assert git_state(repository) == {"sha": None, "branch": "main", "dirty": False, "patch_sha256": None}
    assert code_patch(repository) == ""
    (repository / "a.py").write_text("x = 1\n")
    (repository / "b.py").write_text("y = 1\n")
    run(repository, "add", "a.py")
    state = git_state(repository)
    assert state is not None
    assert (state["sha"], state["branch"], state["dirty"], len(state["patch_sha256"])) == (None, "main", True, 64)
    patch = code_patch(repository)
    assert "+x = 1" in patch
    assert "# untracked: b.py" in patch


def test_clean_and_dirty(repository: Path) -> None:
    commit(repository)
    state = git_state(repository)
    assert state is not None
    assert (len(state["sha"]), state["branch"], state["dirty"]) == (40, "main", False)
    assert code_patch(repository) == ""
    (repository / "诗 1.txt").write_text("new\n")
    changed = git_state(repository)
    assert changed is not None
    assert changed == {**state, "dirty": True, "patch_sha256": changed["patch_sha256"]}
    assert len(changed["patch_sha256"]) == 64
    assert "-old\n+new" in code_patch(repository)
    assert "诗 1.txt" in code_patch(repository)


def test_patch_seen_from_a_subfolder_applies(repository: Path) -> None:
    commit(repository)
    inside = repository / "inside"
    inside.mkdir()
    (repository / "诗 1.txt").write_text("new\n")
    (repository / "notes.txt").write_text("untracked")
    patch = code_patch(inside)
    assert "# untracked: notes.txt" in patch
    (repository / "诗 1.txt").write_text("old\n")
    subprocess.run(["git", "apply"], cwd=repository, input=patch.encode(), check=True)
    assert (repository / "诗 1.txt").read_text() == "new\n"


def test_untracked_files_make_it_dirty_and_only_texts_are_listed(repository: Path) -> None:
    commit(repository)
    (repository / "model.bin").write_bytes(b"\0\1")
    (repository / "新 文件.py").write_text("secret content")
    (repository / ".gitignore").write_text("ignored\n")
    (repository / "ignored").write_text("x")
    state = git_state(repository)
    assert state is not None
    assert state["dirty"]
    assert code_patch(repository).splitlines() == ["# untracked: .gitignore", "# untracked: 新 文件.py"]


def test_detached_head(repository: Path) -> None:
    commit(repository)
    run(repository, "checkout", "--detach")
    state = git_state(repository)
    assert state is not None
    assert state["branch"] is None


def test_large_patch_is_cut_and_says_so(repository: Path) -> None:
    commit(repository)
    (repository / "诗 1.txt").write_text("line\n" * 400_000)
    patch = code_patch(repository)
    assert len(patch.encode()) < git.PATCH_LIMIT + 200
    assert patch.endswith("+line\n# truncated: the changes exceed 1000000 bytes\n")


def test_secrets_stay_out_of_the_patch(repository: Path) -> None:
    commit(repository)
    (repository / "诗 1.txt").write_text('password = "hunter2"\nurl = "https://me:pa55@host"\n')
    patch = code_patch(repository)
    assert "hunter2" not in patch
    assert "pa55" not in patch


def test_a_repository_cannot_make_us_run_its_programs(repository: Path) -> None:
    commit(repository)
    for key in ("core.fsmonitor", "diff.external"):
        run(repository, "config", key, f"touch '{repository}/ran'; false")
    (repository / "诗 1.txt").write_text("new\n")
    git_state(repository)
    code_patch(repository)
    assert not (repository / "ran").exists()


def test_a_slow_git_is_given_up(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:/bin:/usr/bin")
    monkeypatch.setattr(git, "_TIMEOUT", 0.2)
    assert git_state(repository) is None
    assert code_patch(repository) == ""


def patch_hash(folder: Path) -> str | None:
    state = git_state(folder)
    assert state is not None
    return state["patch_sha256"]


def test_the_patch_hash_follows_every_change_of_code_and_nothing_else(repository: Path) -> None:
    commit(repository)
    (repository / "data.jsonl").write_text("untracked data")
    (repository / "notes.txt").write_text("untracked notes")
    assert patch_hash(repository) is None
    hashes = [None]
    for name, content in [
        ("mine.py", "x = 1\n"),
        ("mine.py", "x = 2\n"),
        ("诗 1.txt", "new\n"),
        ("诗 1.txt", "newer\n"),
    ]:
        (repository / name).write_text(content)
        hashes.append(patch_hash(repository))
    assert len(set(hashes)) == len(hashes)
    (repository / "诗 1.txt").write_text("new\n")
    assert patch_hash(repository) == hashes[3]
    inside = repository / "inside"
    inside.mkdir()
    assert patch_hash(inside) == hashes[3]


def test_the_patch_hash_sees_beyond_the_size_that_is_kept(repository: Path) -> None:
    commit(repository)
    hashes = set()
    for last in ("a", "b"):
        (repository / "诗 1.txt").write_text("line\n" * 400_000 + last)
        hashes.add(patch_hash(repository))
    assert len(hashes) == 2

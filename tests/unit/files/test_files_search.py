"""Which files of a folder count, through links, and what is said of the others."""

import os
from pathlib import Path

import pytest

from aigc.errors import InputError
from aigc.files.names import Found, ending, is_hidden, sort_out
from aigc.files.search import holds_any, search


def is_text(path: str) -> bool:
    return path.endswith(".txt")


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("a")
    return folder


HIDDEN = [
    ".hidden.txt", ".ipynb_checkpoints/a-checkpoint.txt", ".git/b.txt", "deep/@eaDir/c.txt", "__MACOSX/._a.txt",
    "~$a.txt", "Thumbs.db", "deep/desktop.ini", "$RECYCLE.BIN/d.txt", "System Volume Information/e.txt", ".DS_Store",
    "#recycle/f.txt",
]  # fmt: skip
SHOWN = ["a.txt", "b/c.txt", "b/d e/f.txt", "b/x.pdf", "b/archive.tar.gz", "LICENSE", "a.pdf"]


def test_hidden_files_and_what_systems_leave_behind_do_not_count(tmp_path: Path) -> None:
    found = search(make(tmp_path, *HIDDEN, *SHOWN), is_text)
    assert sorted(found.files) == ["a.txt", "b/c.txt", "b/d e/f.txt"]
    assert found.left_out == {".pdf": 2, ".tar.gz": 1, "": 1}
    assert found.described() == "4 files: .pdf 2, without an ending 1, .tar.gz 1"
    of_archive = sort_out([*SHOWN, *HIDDEN], is_text)
    assert (sorted(of_archive.files), of_archive.left_out) == (sorted(found.files), found.left_out)


def test_a_hidden_folder_that_is_named_is_read(tmp_path: Path) -> None:
    assert search(make(tmp_path / ".cache/@eaDir", "a.txt"), is_text).files == ["a.txt"]
    assert not is_hidden("a/b..c/d")


def test_what_is_left_out_is_described_with_advice_and_not_without_end() -> None:
    found = Found(["a.heic", "b.heic", "c.txt"])
    found.leave_out(["a.heic", "b.heic"])
    assert found.files == ["c.txt"]
    assert found.described({".heic": "install it"}) == "2 files: .heic 2 (install it)"
    found.leave_out(f"{number}.e{number}" for number in range(20))
    assert found.described().count(",") == 8
    assert found.described().endswith("others 13")
    assert [ending(name) for name in ("a.TXT", "a.b.GZ", "a", ".gz", "a.an ending of words", "a.\n")] == [
        ".txt", ".b.gz", "", "", "", "",
    ]  # fmt: skip


def test_links_are_followed_out_of_the_folder_as_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    make(tmp_path, "blobs/0a1b", "elsewhere/deep/b.txt", "snapshot/c.txt")
    folder = tmp_path / "snapshot"
    (folder / "a.txt").symlink_to("../blobs/0a1b")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert sorted(search(folder, is_text).files) == ["a.txt", "c.txt", "more/deep/b.txt"]
    (tmp_path / "link").symlink_to(folder)
    assert sorted(search(tmp_path / "link", is_text).files) == ["a.txt", "c.txt", "more/deep/b.txt"]


def test_no_folder_is_entered_twice_whatever_links_there_are(tmp_path: Path) -> None:
    make(tmp_path, "d/a/1.txt", "elsewhere/b/2.txt", "other/3.txt")
    for link, goal in {
        "d/a/loop": "..", "d/again": "a", "d/up": "..", "d/out": "../elsewhere", "d/out2": "../elsewhere/b",
        "elsewhere/b/self": ".", "elsewhere/b/back": "../../d", "elsewhere/other": "../other",
        "other/there": "../elsewhere",
    }.items():  # fmt: skip
        (tmp_path / link).symlink_to(goal)
    assert sorted(search(tmp_path / "d", is_text).files) == ["a/1.txt", "out/b/2.txt", "out/other/3.txt"]


def test_links_to_hidden_folders_below_are_followed_and_to_others_below_not(tmp_path: Path) -> None:
    make(tmp_path, ".store/v2/1.txt", ".store/.old/2.txt", "seen/3.txt", ".git/4.txt")
    for link, goal in {"data": ".store/v2", "again": ".store/v2", "old": ".store/.old", "more": "seen"}.items():
        (tmp_path / link).symlink_to(goal)
    (tmp_path / ".store/v2/up").symlink_to("../../seen")
    found = search(tmp_path, is_text)
    assert sorted(path.rpartition("/")[2] for path in found.files) == ["1.txt", "2.txt", "3.txt"]
    assert holds_any(tmp_path, is_text)
    assert not holds_any(tmp_path, lambda path: path.endswith("4.txt"))


def test_a_link_to_nothing_counts_by_its_name_and_pipes_are_apart(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    (tmp_path / "gone.txt").symlink_to("nowhere")
    (tmp_path / "self.txt").symlink_to("self.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "to pipe.txt").symlink_to("pipe.txt")
    found = search(tmp_path, is_text)
    assert sorted(found.files) == ["a.txt", "gone.txt", "self.txt"]
    assert sorted(found.special) == ["pipe.txt", "to pipe.txt"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: cannot be listed: No such file or directory\."):
        search(tmp_path / "nowhere", is_text)

"""All pages: both languages have the same code, every link leads somewhere, and names of targets exist."""

import re
import subprocess

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import ENGLISH, GUIDES, README, blocks, commands, in_chinese, links

PAGES = [page for english in ENGLISH for page in (english, in_chinese(english))]
RUN = ("bash", *("python", "yaml", "toml", "json", "text"))


def name(page):
    return str(page.relative_to(REPOSITORY))


def without_comments(block):
    lines = [line.split("  #")[0].split(" # ")[0].rstrip() for line in block.code.splitlines()]
    code = [re.sub(r'""".*?"""', '""', line) for line in lines if line and not line.lstrip().startswith("#")]
    return block.language, block.file, code


def slug(heading):
    """How GitHub names a heading in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", ENGLISH, ids=name)
def test_both_languages_have_the_same_code(page):
    english, chinese = (
        [without_comments(block) for block in blocks(one) if block.language in RUN] for one in (page, in_chinese(page))
    )
    assert english == chinese


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for goal in links(page):
        path, _, anchor = goal.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), goal
        if anchor:
            text = target.read_text("utf-8")
            anchors = {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
            assert anchor in anchors, goal


@pytest.mark.parametrize("page", ENGLISH, ids=name)
def test_pages_link_their_other_language_at_the_top(page):
    other = in_chinese(page)
    assert f"[中文]({other.name})" in page.read_text("utf-8")[:60]
    assert f"[English]({page.name})" in other.read_text("utf-8")[:60]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_link_every_guide_of_their_language(page):
    chinese = page.name.endswith(".zh.md")
    guides = {path for path in GUIDES.glob("*.md") if path.name.endswith(".zh.md") == chinese}
    assert len(guides) == 9
    linked = {(page.parent / goal).resolve() for goal in links(page)}
    assert guides - {page} <= linked


def test_make_targets_exist_and_make_help_lists_them():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {arguments[0] for page in ENGLISH for program, *arguments in commands(page) if program == "make"}
    assert {"train", "test", "help"} <= named <= targets
    listed = subprocess.run(["make", "-s", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert named <= {line.split()[0] for line in listed.splitlines()}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paragraphs_are_short(page):
    """A reader sees where one ends: 400 characters of Chinese, or twice as many of English."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    paragraphs = [one for one in re.split(r"\n\n|\n(?=- )", text) if not one.lstrip().startswith("|")]
    longest = max(paragraphs, key=len)
    assert len(longest) < (400 if page.name.endswith(".zh.md") else 800), longest


@pytest.mark.parametrize("page", [in_chinese(page) for page in ENGLISH], ids=name)
def test_chinese_has_one_word_for_one_thing(page):
    text = re.sub(r"^```.*?^```$|`[^`\n]+`", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for word in ("checkpoint", "逐比特", "逐位相同", "批大小", "批次", "朴素", "样例"):
        assert word not in text


def test_pictures_are_small():
    pictures = [README.parent / goal for page in PAGES for goal in links(page) if goal.endswith(".png")]
    assert pictures
    assert all(picture.stat().st_size < 60_000 for picture in pictures)

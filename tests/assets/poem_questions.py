"""Writes the bundled questions and conversations about poems.

`python -m tests.assets.poem_questions` needs opencc-python-reimplemented. Every answer follows from the bundled poems
and couplets. Of each line, one wording of the question is held out; the others are in the training file, so that a
model that has learned them can answer it. Lines of which the last character is asked are not in training at all.
"""

import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aigc import assets

FOLDER = Path(assets.__file__).parent
POEMS, LINES = 100, 500
AUTHORS = {
    "李白": "Li Bai",
    "王維": "Wang Wei",
    "杜甫": "Du Fu",
    "白居易": "Bai Juyi",
    "杜牧": "Du Mu",
    "李商隱": "Li Shangyin",
    "劉禹錫": "Liu Yuxi",
    "韋應物": "Wei Yingwu",
}
WORDINGS = {
    "next_line": {
        "zh-Hant": ("「{}」的下一句是什麼？", "請接下一句：{}", "{}，後面是哪一句？"),
        "zh-Hans": ("“{}”的下一句是什么？", "请接下一句：{}", "{}，后面是哪一句？"),
        "en": ('What is the line after "{}"?', "Next line: {}", 'Which line follows "{}"?'),
    },
    "author": {
        "zh-Hant": ("「{}」是誰寫的？", "誰的詩裏有「{}」？", "{}，作者是誰？"),
        "zh-Hans": ("“{}”是谁写的？", "谁的诗里有“{}”？", "{}，作者是谁？"),
        "en": ('Who wrote "{}"?', "Author of: {}", 'Whose poem has "{}"?'),
    },
    "last_character": {
        "zh-Hant": ("「{}」最後一個字是什麼？",),
        "zh-Hans": ("“{}”最后一个字是什么？",),
        "en": ('What is the last character of "{}"?',),
    },
}
OPENINGS = {
    "zh-Hant": ("你知道「{}」嗎？", "說說「{}」。", "「{}」出自誰的詩？"),
    "zh-Hans": ("你知道“{}”吗？", "说说“{}”。", "“{}”出自谁的诗？"),
    "en": ('Do you know "{}"?', 'Tell me about "{}".', 'Whose line is "{}"?'),
}
ANSWERS = {"zh-Hant": "這是{}的詩。", "zh-Hans": "这是{}的诗。", "en": "It is by {}."}
FOLLOWING = {
    "zh-Hant": ("下一句呢？", "接下來是什麼？", "再下一句呢？"),
    "zh-Hans": ("下一句呢？", "接下来是什么？", "再下一句呢？"),
    "en": ("And the next line?", "What comes next?", "Go on."),
}
Row = dict[str, str]
Convert = Callable[[str], str]


def poems() -> list[tuple[str, list[str]]]:
    """The authors and the lines of the poems that are asked about; no line is in two of them."""
    rows = [line.split("\t") for line in (FOLDER / "tang_quatrains.tsv").read_text("utf-8").splitlines()[1:]]
    known = [(author, _lines(poem)) for _, author, poem in rows if author in AUTHORS]
    times = Counter(line for _, lines in known for line in lines)
    distinct = [one for one in known if all(times[line] == 1 for line in one[1])]
    return random.Random(0).sample(distinct, POEMS)


def questions(simplified: Convert) -> Iterator[tuple[Row, bool]]:
    """All questions, and whether they are held out.

    Args:
        simplified: Converts traditional to simplified characters.
    """
    draw = random.Random(1)
    for author, lines in poems():
        for before, after in itertools.pairwise(lines):
            yield from _worded("next_line", before, after, after, simplified, draw)
        for line in lines[:2]:
            yield from _worded("author", line, author, AUTHORS[author], simplified, draw)
    lines = [line.split("\t")[0] for line in (FOLDER / "couplets.tsv").read_text("utf-8").splitlines()[1:]]
    for number, line in enumerate(random.Random(2).sample(sorted(set(lines)), LINES)):
        for language, (wording,) in WORDINGS["last_character"].items():
            shown = simplified(line) if language == "zh-Hans" else line
            yield _row("last_character", language, wording.format(shown), shown[-1]), number % 10 == 0


def conversations(simplified: Convert) -> Iterator[dict[str, object]]:
    """Conversations of two or three turns: whose poem a line is from, and the lines that follow it."""
    draw = random.Random(4)
    for author, lines in poems():
        for language, openings in OPENINGS.items():
            convert = simplified if language == "zh-Hans" else str
            for opening, start in itertools.product(openings, (0, 1)):
                by = AUTHORS[author] if language == "en" else convert(author)
                turns = [(opening.format(convert(lines[start])), ANSWERS[language].format(by))]
                asked = draw.sample(FOLLOWING[language], draw.randrange(1, 3))
                turns += zip(asked, map(convert, lines[start + 1 :]), strict=False)
                yield {"language": language, "messages": [one for turn in turns for one in _turn(*turn)]}


def _turn(asked: str, answer: str) -> list[Row]:
    return [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]


def _worded(
    kind: str, asked: str, answer: str, in_english: str, simplified: Convert, draw: random.Random
) -> Iterator[tuple[Row, bool]]:
    for language, wordings in WORDINGS[kind].items():
        convert = simplified if language == "zh-Hans" else str
        held_out = draw.randrange(len(wordings))
        for number, wording in enumerate(wordings):
            said = in_english if language == "en" else convert(answer)
            yield _row(kind, language, wording.format(convert(asked)), said), number == held_out


def _row(kind: str, language: str, instruction: str, output: str) -> Row:
    return {"kind": kind, "language": language, "instruction": instruction, "output": output}


def _lines(poem: str) -> list[str]:
    return [line for line in poem.replace("。", "，").split("，") if line]


def main() -> None:
    """Write all files."""
    from opencc import OpenCC  # type: ignore[import-not-found]

    simplified = OpenCC("t2s").convert
    rows = list(questions(simplified))
    _write("poem_questions", [row for row, held_out in rows if not held_out])
    _write("poem_questions_heldout", [row for row, held_out in rows if held_out])
    _write("poem_chats", list(conversations(simplified)))


def _write(name: str, rows: list[Any]) -> None:
    random.Random(3).shuffle(rows)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (FOLDER / f"{name}.jsonl").write_text(lines, "utf-8")
    sys.stdout.write(f"{name}: {len(rows)}\n")


if __name__ == "__main__":
    main()

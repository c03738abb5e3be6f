"""The bundled questions and conversations are what the bundled poems say."""

import json
from collections import defaultdict

from aigc import assets
from tests.assets.poem_questions import AUTHORS, WORDINGS, conversations, poems, questions


def rows(name):
    return [json.loads(line) for line in assets.resolve(f"asset:{name}.jsonl").read_text("utf-8").splitlines()]


def without_simplified(found):
    return sorted(json.dumps(row, ensure_ascii=False) for row in found if row["language"] != "zh-Hans")


def test_files_are_what_the_module_makes_but_for_simplified_characters():
    made = list(questions(str))
    for name, held_out in (("poem_questions", False), ("poem_questions_heldout", True)):
        assert without_simplified(rows(name)) == without_simplified(row for row, apart in made if apart == held_out)
    assert without_simplified(rows("poem_chats")) == without_simplified(conversations(str))


def test_every_held_out_question_about_a_poem_has_its_answer_in_training():
    known = defaultdict(set)
    for row in rows("poem_questions"):
        known[row["kind"], row["language"], _line(row)].add(row["output"])
    asked = {row["instruction"] for row in rows("poem_questions")}
    for row in rows("poem_questions_heldout"):
        assert row["instruction"] not in asked
        if row["kind"] != "last_character":
            assert known[row["kind"], row["language"], _line(row)] == {row["output"]}
    assert {author for author, _ in poems()} <= AUTHORS.keys()


def _line(row):
    for wording in WORDINGS[row["kind"]][row["language"]]:
        before, after = wording.split("{}")
        text = row["instruction"]
        if text.startswith(before) and text.endswith(after) and "，" not in (line := text[len(before) :])[:5]:
            return line.removesuffix(after)
    raise AssertionError(row)

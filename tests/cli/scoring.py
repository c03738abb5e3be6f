"""Texts and files that the tests of `aigc score` share."""

import json

from tests.conftest import write

REFERENCES = ["the cat sat down near the house", "a big dog runs over there today", "the red tree walks and sees it"]

PREDICTIONS = ["the cat sat over near the house", "a big dog walks over there today", "the tree walks and sees it now"]

CHINESE = ["床前明月光，疑是地上霜。", "舉頭望明月，低頭思故鄉。"]


def lines(path, texts):
    return write(path, "".join(f"{text}\n" for text in texts))


def samples(path, outputs, references):
    rows = [{"prompt": "春", "output": o, "reference": r} for o, r in zip(outputs, references, strict=True)]
    return write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def scores(done):
    code, out, err = done
    assert (code, err) == (0, "")
    return json.loads(out)["scores"]

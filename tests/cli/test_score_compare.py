"""`aigc score --compare`: paired bootstrap resampling of several systems."""

import json
import random

import pytest

from tests.cli.scoring import CHINESE, lines, samples
from tests.conftest import WORDS


@pytest.fixture
def systems(own_place):
    """150 references and three systems, of which the third is clearly better."""
    dice = random.Random(5)
    texts = [dice.choices(WORDS, k=dice.randint(5, 15)) for _ in range(150)]
    lines(own_place / "r.txt", map(" ".join, texts))
    for name, rate in (("a.txt", 0.3), ("b.txt", 0.28), ("c.txt", 0.1)):
        lines(
            own_place / name,
            (" ".join(dice.choice(WORDS) if dice.random() < rate else word for word in text) for text in texts),
        )
    return {name: (own_place / name).read_text().splitlines() for name in ("a.txt", "b.txt", "c.txt", "r.txt")}


def test_systems_are_compared_on_resampled_texts(systems, score):
    _, out, _ = score(
        *("a.txt", "r.txt", "--compare", "b.txt", "--compare", "c.txt", "--json"),
        *("--metric", "bleu", "--metric", "distinct"),
    )
    told = json.loads(out)["comparison"]
    assert (told["samples"], told["seed"]) == (1000, 12345)
    near, better = told["systems"]
    assert [near["predictions"], better["predictions"]] == ["b.txt", "c.txt"]
    for one in (near, better):
        assert set(one["p_value"]) == {"bleu"}  # the other one is not a sum over texts
        assert one["difference"]["bleu"] == one["scores"]["bleu"] - json.loads(out)["scores"]["bleu"]
        assert one["interval"]["bleu"] > 0
    assert better["p_value"]["bleu"] == pytest.approx(1 / 1001)
    assert near["p_value"]["bleu"] > better["p_value"]["bleu"]


def test_the_table_of_a_comparison_marks_metrics_without_resampling(systems, score):
    arguments = ["a.txt", "r.txt", "--compare", "c.txt", "--metric", "chrf", "--metric", "distinct"]
    code, out, err = score(*arguments, "--samples", "200", "--seed", "7")
    assert (code, err) == (0, "")
    scored, signatures = (part.splitlines() for part in out.split("\n\n"))
    assert [row.split()[:2] for row in scored[1:3]] == [["chrf", "a.txt"], ["chrf", "c.txt"]]
    assert "±" in scored[1]
    assert scored[2].endswith(f"{1 / 201:.4f}")
    assert ["no resampling" in row for row in scored[1:5]] == [False, False, True, True]
    assert signatures[1].split()[1].startswith("nrefs:1|bs:200|seed:7|case:mixed|")
    assert "bs:200" not in signatures[2]
    assert out != score(*arguments, "--samples", "200", "--seed", "8")[1]


def test_the_steps_of_a_run_are_compared_by_their_samples(own_place, score):
    samples(own_place / "step-000001.jsonl", [text[::-1] for text in CHINESE], CHINESE)
    samples(own_place / "step-000002.jsonl", CHINESE, CHINESE)
    code, out, _ = score("step-000001.jsonl", "--compare", "step-000002.jsonl", "--json")
    assert code == 0
    assert json.loads(out)["comparison"]["systems"][0]["scores"]["chrf"] == 100.0

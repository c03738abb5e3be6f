"""Several ranks measure what they generate as one does."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.launch.modules import run_ranks

OF_TEXTS = {"val/bleu", "val/chrf", "val/rouge1", "val/rouge2", "val/rougeL"}
OF_TEXTS |= {"val/distinct_1", "val/distinct_2", "val/self_bleu", "val/form_accuracy"}


def scores(place: Path, ranks: int, cache: Path) -> list[dict[str, Any]]:
    run_ranks("tests.training.generation_ranks", ranks, place, AIGC_CACHE=str(cache))
    return [json.loads((place / f"rank-{rank}.json").read_text("utf-8")) for rank in range(ranks)]


@pytest.mark.slow
def test_each_rank_measures_its_share_and_all_give_the_score_of_one(tmp_path: Path, cache: Path) -> None:
    (alone,) = scores(tmp_path / "one", 1, cache)
    assert set(alone["values"]) >= OF_TEXTS
    for told in scores(tmp_path / "two", 2, cache):
        for name in OF_TEXTS:
            assert told["values"][name] == alone["values"][name], name
            assert told["signatures"][name] == alone["signatures"][name]
        assert told["weights"] == alone["weights"]
    assert not any("perplexity" in name or "sums" in name for name in alone["weights"])

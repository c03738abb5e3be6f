"""Several ranks measure what they generate as one does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY

OF_TEXTS = {"val/bleu", "val/chrf", "val/rouge1", "val/rouge2", "val/rougeL"}
OF_TEXTS |= {"val/distinct_1", "val/distinct_2", "val/self_bleu", "val/form_accuracy"}


def scores(place: Path, ranks: int, cache: Path) -> list[dict[str, Any]]:
    launcher = ["torch.distributed.run", "--nproc-per-node", str(ranks), "--standalone"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "tests.training.generation_ranks", str(place)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1", "AIGC_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
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

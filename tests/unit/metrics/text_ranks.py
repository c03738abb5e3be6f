"""All text metrics on several ranks, as forked processes with gloo; started by test_text_ranks.py.

Usage: python -m tests.unit.metrics.text_ranks FOLDER
"""

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from aigc.distributed.collectives import sync_sum
from aigc.metrics.text import BLEU, ClassificationReport, Perplexity, SelfBLEU
from tests.unit.metrics.text_samples import ENGLISH, MIXED, POEMS
from tests.unit.metrics.worlds import counted, fork_worlds, joined

WORLDS = (1, 3)
METRICS: dict[str, Callable[[], Any]] = {
    "bleu": BLEU,
    "self_bleu": SelfBLEU,
    "classification": lambda: ClassificationReport(["news", "poem", "chat"]),
    "perplexity": Perplexity,
    "perplexity_of_sums": Perplexity,
}
"""One measure of each base, and those with a state of their own."""
EMPTY: dict[str, tuple[Any, ...]] = {
    "classification": ([], []),
    "perplexity": (torch.zeros(0, 7), torch.zeros(0, dtype=torch.int64)),
    "perplexity_of_sums": (0.0, 0),
}
"""What has no text in it; two empty lists for all other metrics."""
GATHERED = ("self_bleu",)
"""Those whose texts are gathered: two all_gathers; one all_reduce for the others."""


def data(name: str) -> list[tuple[Any, ...]]:
    """The batches of a metric."""
    if name == "classification":
        labels = ["news", "poem", "chat"]
        return [([labels[i % 3], labels[i % 2]], [labels[i % 2], labels[i * i % 3]]) for i in range(7)]
    if name == "perplexity":
        chance = torch.Generator().manual_seed(0)
        sizes = (1, 5, 3, 2, 8, 1, 4)
        logits = [5 * torch.randn(size, 7, generator=chance) for size in sizes]
        return [(each, torch.randint(7, (len(each),), generator=chance), len(each), 3 * len(each)) for each in logits]
    if name == "perplexity_of_sums":
        return [(10.0 / 3**i, i + 1, i, 2 * i) for i in range(7)]
    lines = [*POEMS[:6], *ENGLISH, *MIXED]
    pairs = [(lines[i - 1], [lines[i - 1][1:], lines[i], "a b"][i % 3 > 1 :]) for i in range(len(lines))]
    pairs += [(POEMS[7], [POEMS[7]]), (ENGLISH[0], [ENGLISH[0]])]
    return [tuple(map(list, zip(*pairs[start : start + 4], strict=True))) for start in range(0, len(pairs), 4)]


def shards(name: str, world: int) -> list[list[tuple[Any, ...]]]:
    """The batches of each rank before the last one: unequal, and none at all for the second of three."""
    first = data(name)[:-1]
    return {1: [first], 3: [first[:1], [], first[1:]]}[world]


def say(metric: Any) -> dict[str, Any]:
    """All that a metric says, exactly."""
    scores = {name: float(value).hex() for name, value in metric.compute().items()}
    return {"scores": scores, "signature": metric.signature, "details": repr(metric.details())}


def state(metric: Any) -> dict[str, list[int]]:
    return {name: value.tolist() for name, value in metric.metric_state.items()}


def measure(name: str, rank: int, world: int, told: bool) -> dict[str, Any]:
    """One metric over all ranks; a rank without texts is `told` of none, or not at all."""
    metric = METRICS[name]()
    found: dict[str, Any] = {}
    empty = state(metric)
    try:  # before there is a text on any rank
        metric.compute()
    except ValueError as error:
        found["nothing"] = str(error)
    for batch in shards(name, world)[rank] or [EMPTY.get(name, ([], []))] * told:
        metric.update(*batch)
    before = state(metric)
    with counted() as calls:
        metric.compute()
    found["calls"] = calls
    found["first"] = say(metric)
    found["restored"] = state(metric) == before
    # From now on only the last rank has something new: the others must not sit this one out.
    if rank == world - 1:
        metric.update(*data(name)[-1])
    found["second"] = say(metric)
    found["third"] = say(metric)
    metric.reset()
    found["reset"] = state(metric) == empty and (name in GATHERED or metric.signature == METRICS[name]().signature)
    return found


def expected(name: str) -> dict[str, Any]:
    """What one process says, without torch.distributed."""
    metric = METRICS[name]()
    for batch in data(name)[:-1]:
        metric.update(*batch)
    first = say(metric)
    metric.update(*data(name)[-1])
    return {"first": first, "second": say(metric)}


def rank_of(world: int, rank: int, place: Path) -> None:
    """One rank: it writes what it found to `<world>-<rank>.json`."""
    warnings.simplefilter("ignore")
    with joined(world, rank, place):
        found: dict[str, Any] = {
            f"{name}:{told}": measure(name, rank, world, told) for name in METRICS for told in (False, True)
        }
        mine = torch.tensor([rank, 1])
        found["sum"] = [sync_sum(mine)[0].tolist(), mine.tolist()]
    (place / f"{world}-{rank}.json").write_text(json.dumps(found), encoding="utf-8")


def main(place: Path) -> None:
    """One process alone, then all worlds after each other; forked, as torch takes seconds to import."""
    fork_worlds(WORLDS, rank_of, place)
    warnings.simplefilter("ignore")
    found = {name: expected(name) for name in METRICS}
    (place / "alone.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))

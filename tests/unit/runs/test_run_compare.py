"""Two metrics.jsonl are the same when every bit is, and the first one that is not is named."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from aigc.errors import InputError
from aigc.runs.compare import compare_metrics, compare_weights, logged_steps
from aigc.runs.metrics_file import encode_values
from aigc.runs.metrics_writer import MetricsFile

NAMES = ("train/loss", "train/gradient_norm", "val/perplexity", "val/bleu")
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

steps = st.lists(st.integers(1, 50), min_size=1, max_size=8, unique=True).map(sorted)
values = st.dictionaries(st.sampled_from(NAMES), st.floats(allow_nan=True, allow_infinity=True), min_size=1)


@st.composite
def metrics(draw: st.DrawFn) -> list[tuple[int, dict[str, float]]]:
    return [(step, draw(values)) for step in draw(steps)]


def write(path: Path, rows: list[tuple[int, dict[str, float]]], shift: float = 0.0) -> Path:
    """Rows with another wall time and rate each time they are written."""
    with path.open("w", encoding="utf-8") as file:
        for step, logged in rows:
            clock = {"wall_time": 1000.0 + step + shift, "train/tokens_per_second": random.random()}
            clock["train/mfu"] = random.random()
            file.write(json.dumps({"step": step, "epoch": 0, **clock, **encode_values(logged)}) + "\n")
    return path


@quick
@given(metrics())
def test_equal_values_are_identical_whenever_they_were_logged(
    tmp_path: Path, rows: list[tuple[int, dict[str, float]]]
) -> None:
    found = compare_metrics(write(tmp_path / "a", rows), write(tmp_path / "b", rows, shift=7.5))
    assert found.identical
    assert (found.first, found.missing, found.extra) == (None, (), ())
    assert found.steps == rows[-1][0]
    assert found.values == sum(len(logged) for _, logged in rows)
    assert found.metrics == len({name for _, logged in rows for name in logged})


@quick
@given(metrics(), st.data())
def test_one_bit_in_one_value_is_found_and_named(
    tmp_path: Path, rows: list[tuple[int, dict[str, float]]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(rows[at][1])))
    old = rows[at][1][name]
    assume(math.isfinite(old))
    new = math.nextafter(old, data.draw(st.sampled_from([math.inf, -math.inf])))
    assume(math.isfinite(new))
    changed = [(step, dict(logged)) for step, logged in rows]
    changed[at][1][name] = new
    found = compare_metrics(write(tmp_path / "a", rows), write(tmp_path / "b", changed))
    assert not found.identical
    (difference,) = found.differences
    assert (difference.step, difference.metric, difference.old, difference.new) == (rows[at][0], name, old, new)
    assert difference.absolute == abs(new - old) or old == 0
    json.dumps(difference.as_dict(), allow_nan=False)


@quick
@given(metrics(), st.data())
def test_a_value_that_only_one_has_is_missing_or_extra(
    tmp_path: Path, rows: list[tuple[int, dict[str, float]]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(sorted(rows[at][1])))
    less = [(step, {n: v for n, v in logged.items() if (i, n) != (at, name)}) for i, (step, logged) in enumerate(rows)]
    whole, part = write(tmp_path / "a", rows), write(tmp_path / "b", less)
    gone = [(d.step, d.metric) for d in compare_metrics(whole, part).missing]
    more = [(d.step, d.metric) for d in compare_metrics(part, whole).extra]
    assert gone == more
    assert gone[0] == (rows[at][0], name)


def test_signed_zero_differs_and_nan_does_not(tmp_path: Path) -> None:
    old = write(tmp_path / "a", [(1, {"x": 0.0, "y": math.nan})])
    new = write(tmp_path / "b", [(1, {"x": -0.0, "y": math.nan})])
    (difference,) = compare_metrics(old, new).differences
    assert str(difference) == "at step 1: x was 0.0, is -0.0 (by 0, relative 0)"


def test_the_first_difference_is_that_of_the_earliest_step(tmp_path: Path) -> None:
    old = write(tmp_path / "a", [(1, {"a": 1.0}), (2, {"b": 2.0, "a": 4.0}), (3, {"a": 1.0})])
    new = write(tmp_path / "b", [(1, {"a": 1.0}), (2, {"b": 3.0, "a": 5.0}), (3, {"a": 0.0})])
    found = compare_metrics(old, new)
    assert len(found.differences) == 3
    assert str(found.first) == "at step 2: b was 2.0, is 3.0 (by 1, relative 0.5)"


def test_another_epoch_is_a_difference(tmp_path: Path) -> None:
    for name, epoch in (("a", 0), ("b", 1)):
        with MetricsFile(tmp_path / name) as file:
            file.append(1, epoch, {"loss": 1.0})
    (difference,) = compare_metrics(tmp_path / "a", tmp_path / "b").differences
    assert (difference.metric, difference.old, difference.new) == ("epoch", 0.0, 1.0)


def test_a_step_that_was_logged_again_after_a_resume_counts_once(tmp_path: Path) -> None:
    once = write(tmp_path / "a", [(1, {"a": 1.0}), (2, {"a": 2.0}), (3, {"a": 3.0})])
    again = write(tmp_path / "b", [(1, {"a": 1.0}), (2, {"a": 2.0}), (2, {"a": 2.0}), (3, {"a": 3.0})])
    assert compare_metrics(once, again).identical
    other = write(tmp_path / "c", [(1, {"a": 1.0}), (2, {"a": 2.0}), (2, {"a": 2.5}), (3, {"a": 3.0})])
    assert not compare_metrics(once, other).identical


ROWS: list[tuple[int, dict[str, float]]] = [
    (1, {"train/loss": 3.0}),
    (2, {"train/loss": 2.0, "val/bleu": 5.0}),
    (3, {"train/loss": 1.0}),
]


@pytest.mark.parametrize(
    ("rows", "identical"),
    [
        (ROWS, True),
        (ROWS[:2], True),
        ([ROWS[0], (2, {"train/loss": 2.0})], True),
        ([ROWS[0], (2, {"val/bleu": 5.0})], False),
        (ROWS[:1], False),
        ([ROWS[0], (2, {"train/loss": 2.5, "val/bleu": 5.0})], False),
        ([ROWS[0], (2, {"train/loss": 2.0, "val/bleu": 5.5})], False),
        ([(1, {"train/loss": 3.5}), ROWS[1]], False),
        ([(1, {"train/loss": 3.0, "val/bleu": 1.0}), ROWS[1]], False),
        ([*ROWS[:2], (3, {"train/loss": 9.0})], True),
    ],
)
def test_up_to_a_step_only_what_both_must_have_counts(
    tmp_path: Path, rows: list[tuple[int, dict[str, float]]], identical: bool
) -> None:
    found = compare_metrics(write(tmp_path / "a", ROWS), write(tmp_path / "b", rows), until_step=2)
    assert found.identical is identical
    assert found.steps == 2


def test_an_end_that_the_first_never_logged_does_not_count(tmp_path: Path) -> None:
    cut = write(tmp_path / "a", [(1, {"train/loss": 3.0}), (2, {"train/gradient_norm": 1.0})])
    whole = write(tmp_path / "b", [(1, {"train/loss": 3.0}), (2, {"train/gradient_norm": 1.0, "train/loss": 2.0})])
    assert compare_metrics(cut, whole, until_step=2).identical
    assert not compare_metrics(cut, whole).identical


def test_nothing_to_compare_is_not_identical(tmp_path: Path) -> None:
    assert not compare_metrics(tmp_path / "a", tmp_path / "b").identical
    assert logged_steps(tmp_path / "a") == []
    rates = tmp_path / "c"
    rates.write_text('{"step": 1, "epoch": 0, "wall_time": 1.0, "train/tokens_per_second": 3.0, "train/mfu": 0.4}\n')
    assert logged_steps(rates) == []
    assert not compare_metrics(rates, rates).identical


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{]\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        compare_metrics(tmp_path / "a", tmp_path / "a")


def manifest(**artifacts: str) -> dict[str, Any]:
    return {"artifacts": {name.replace("_", "/", 1): digest for name, digest in artifacts.items()}}


def test_weights_are_compared_by_their_hashes_alone() -> None:
    one = manifest(**{"model_model.safetensors": "a" * 64, "model_config.json": "1", "checkpoints_last.ckpt": "1"})
    two = manifest(**{"model_model.safetensors": "a" * 64, "model_config.json": "2", "checkpoints_last.ckpt": "2"})
    three = manifest(**{"model_model.safetensors": "b" * 64})
    same, other, gone = (compare_weights(one, new) for new in (two, three, {}))
    assert same is not None
    assert other is not None
    assert gone is not None
    assert (same.identical, same.digest) == (True, "a" * 64)
    assert (other.identical, other.differing) == (False, ("model/model.safetensors",))
    assert gone.files == {"model/model.safetensors": ("a" * 64, None)}
    assert not gone.identical
    assert compare_weights({"artifacts": {"checkpoints/last.ckpt": "1"}}, one) is None


def test_weights_in_several_files_have_one_digest() -> None:
    parts = {f"model_model-0000{i}-of-00002.safetensors": str(i) * 64 for i in (1, 2)}
    found = compare_weights(manifest(**parts), manifest(**parts))
    assert found is not None
    assert found.identical
    assert len(found.digest) == 64
    other = compare_weights(manifest(**{**parts, "model_extra.safetensors": "c"}), manifest(**parts))
    assert other is not None
    assert (other.identical, other.differing) == (False, ("model/extra.safetensors",))


def test_rows_of_one_step_that_an_earlier_version_wrote_in_two_epochs_are_those_of_one_row(tmp_path: Path) -> None:
    def row(epoch: int, **values: float) -> str:
        return json.dumps({"step": 4, "epoch": epoch, "wall_time": 1.0, **values}) + "\n"

    old, new, other = tmp_path / "old", tmp_path / "new", tmp_path / "other"
    old.write_text(row(0, loss=1.0) + row(1, score=2.0), encoding="utf-8")
    new.write_text(row(0, loss=1.0, score=2.0), encoding="utf-8")
    other.write_text(row(1, loss=1.0, score=2.0), encoding="utf-8")
    assert compare_metrics(old, new).identical
    assert compare_metrics(new, old).identical
    assert not compare_metrics(old, other).identical

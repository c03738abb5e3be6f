"""Perplexity from logits and from summed losses."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc.metrics.text import Perplexity
from aigc.metrics.text.perplexity import likelihood_scores


def scores(metric: Perplexity) -> dict[str, float]:
    return {name: float(value) for name, value in metric.compute().items()}


def random_batch(seed: int, rows: int = 6, length: int = 9, words: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(rows, length, words, generator=generator)
    labels = torch.randint(0, words, (rows, length), generator=generator)
    labels[torch.rand(rows, length, generator=generator) < 0.3] = -100
    labels[0, 0] = 1
    return logits, labels


@given(st.integers(0, 1000), st.lists(st.integers(1, 5), max_size=4))
@settings(max_examples=40, deadline=None)
def test_any_split_gives_the_same_bits(seed: int, cuts: list[int]) -> None:
    logits, labels = random_batch(seed)
    whole, parts = Perplexity(), Perplexity()
    whole.update(logits, labels)
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), 6], strict=True):
        parts.update(logits[start:end], labels[start:end])
    assert scores(parts) == scores(whole)
    assert parts.details() == whole.details()


def test_a_plain_float64_sum_would_depend_on_the_order() -> None:
    numbers = [1e16, 1.0, -1e16, 1.0]
    assert sum(numbers) != sum(sorted(numbers))
    numbers = [2.0**20, 2.0**-30, 2.0**20, 2.0**-30]
    for order in (numbers, sorted(numbers)):
        metric = Perplexity()
        for number in order:
            metric.update(number, 1)
        assert Fraction(metric.details()["nll"]) == Fraction(2**21) + Fraction(1, 2**29)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_it_is_the_exponential_of_the_mean_loss(seed: int) -> None:
    logits, labels = random_batch(seed)
    metric = Perplexity()
    metric.update(logits, labels)
    kept = labels != -100
    picked = torch.log_softmax(logits.double(), -1)[kept].gather(1, labels[kept][:, None])
    assert scores(metric)["perplexity"] == pytest.approx(math.exp(-float(picked.mean())), rel=1e-6)
    assert metric.details()["tokens"] == int(kept.sum())


def test_the_sum_is_exact() -> None:
    losses = [0.1, 1e-7, 123.456, 7.0] * 5
    metric = Perplexity()
    for loss in losses:
        metric.update(loss, 1)
    assert metric.details()["nll"] == pytest.approx(float(sum(map(Fraction, losses))), rel=0, abs=1e-15)


@pytest.mark.parametrize(
    ("dtype", "gap"),
    [(torch.float32, 120.0), (torch.float16, 20.0), (torch.float16, 1000.0), (torch.bfloat16, 300.0)],
)
def test_large_gaps_between_logits_are_right(dtype: torch.dtype, gap: float) -> None:
    """Where torchmetrics 1.9 says infinity."""
    metric = Perplexity()
    metric.update(torch.tensor([[[gap, 0.0, 0.0]]], dtype=dtype), torch.tensor([[1]]))
    exact = math.log(math.exp(-gap) * 2 + 1) + gap
    assert metric.details()["nll"] == pytest.approx(exact, rel=1e-6)


def test_half_precision_is_summed_in_more() -> None:
    logits, labels = random_batch(3, rows=64, length=64)
    half = Perplexity()
    half.update(logits.bfloat16(), labels)
    full = Perplexity()
    full.update(logits.bfloat16().double(), labels)
    assert scores(half)["perplexity"] == pytest.approx(scores(full)["perplexity"], rel=1e-6)


def test_summed_losses_and_their_counts() -> None:
    metric = Perplexity()
    metric.update(1000 * math.log(2), 1000, characters=500, bytes=2000)
    metric.update(torch.tensor(10 * math.log(2)), torch.tensor(10), characters=5, bytes=20)
    assert scores(metric) == pytest.approx(
        {"perplexity": 2.0, "perplexity_per_character": 4.0, "bits_per_character": 2.0, "bits_per_byte": 0.5}
    )


def test_a_batch_counts_by_its_tokens() -> None:
    """1,000 tokens at 2 nats and 10 at 5: the mean of the batches would be another number."""
    metric = Perplexity()
    metric.update(2000.0, 1000)
    metric.update(50.0, 10)
    assert scores(metric)["perplexity"] == pytest.approx(math.exp(2050 / 1010))
    assert abs(scores(metric)["perplexity"] - math.exp((2 + 5) / 2)) > 10


def test_only_what_was_counted_is_scored() -> None:
    metric = Perplexity()
    metric.update(1.0, 1)
    assert set(scores(metric)) == {"perplexity"}
    assert metric.signature.startswith("weight:token|")


def test_characters_of_some_batches_only_are_no_score() -> None:
    metric = Perplexity()
    metric.update(20.0, 10, characters=25, bytes=70)
    assert {"bits_per_byte", "perplexity_per_character"} <= set(scores(metric))
    metric.update(20.0, 10, bytes=70)
    assert "perplexity_per_character" not in scores(metric)
    assert scores(metric)["bits_per_byte"] == pytest.approx(40 / math.log(2) / 140)


def test_no_token_is_an_error() -> None:
    metric = Perplexity()
    with pytest.raises(ValueError, match="no token"):
        metric.compute()
    metric.update(torch.zeros(2, 3, 5), torch.full((2, 3), -100))
    with pytest.raises(ValueError, match="all labels are ignored"):
        metric.compute()
    metric.update(1.0, 1)
    metric.reset()
    with pytest.raises(ValueError, match="no token"):
        metric.details()


def test_what_is_no_number_stays_none() -> None:
    infinite, nan = Perplexity(), Perplexity()
    infinite.update(torch.tensor([[0.0, -math.inf]]), torch.tensor([1]))
    assert scores(infinite)["perplexity"] == math.inf
    nan.update(torch.tensor([[math.nan, 0.0]]), torch.tensor([1]))
    nan.update(math.inf, 1)
    assert math.isnan(scores(nan)["perplexity"])
    assert likelihood_scores(1e6, 1)["perplexity"] == math.inf


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (torch.zeros(2, 3, 5), torch.zeros(2, 4, dtype=torch.long), r"\(2, 3\), got \(2, 4\)"),
        (torch.zeros(2, 5), torch.tensor([0, 5]), "label 5 is neither one of 5 tokens"),
        (torch.zeros(2, 5), torch.tensor([0, -1]), "label -1 .* nor the ignored label -100"),
        (torch.zeros(2, 5), torch.tensor([0.0, 1.0]), "floating"),
        (torch.zeros(2, 5), 3, "got 3"),
        (1.0, -1, "negative"),
        (5.0, 0, "cannot be"),
        (-5.0, 3, "cannot be"),
        (1.0, torch.tensor([1, 2]), "number of its tokens"),
    ],
)
def test_what_does_not_fit_is_refused(predictions: object, references: object, message: str) -> None:
    metric = Perplexity()
    with pytest.raises(ValueError, match=message):
        metric.update(predictions, references)  # type: ignore[arg-type]
    assert not metric.counted.any(), "a refused update adds nothing"


@pytest.mark.parametrize("loss", [1e20, 3e38, 2.0**40, 1e19])
def test_a_loss_too_large_to_add_up_is_infinite_and_never_the_best(loss: float) -> None:
    metric = Perplexity()
    metric.update(1.0, 1)
    metric.update(loss, 10)
    assert scores(metric)["perplexity"] == math.inf
    logits = Perplexity()
    logits.update(torch.tensor([[abs(loss), 0.0]], dtype=torch.float64), torch.tensor([1]))
    assert scores(logits)["perplexity"] == math.inf


def test_counts_are_whole_numbers() -> None:
    with pytest.raises(ValueError, match=r"number of characters must be a whole one from 0 on, got 2\.5"):
        Perplexity().update(1.0, 1, characters=2.5)  # type: ignore[arg-type]


def test_another_ignored_label() -> None:
    logits, labels = random_batch(1)
    usual, other = Perplexity(), Perplexity(ignore_index=0)
    usual.update(logits, labels.masked_fill(labels == 0, -100))
    other.update(logits, labels.masked_fill(labels == -100, 0))
    assert scores(other) == scores(usual)


def test_a_state_reset_in_inference_mode_goes_on_outside() -> None:
    metric = Perplexity()
    with torch.inference_mode():
        metric.reset()
        metric.update(1.0, 1)
    metric.update(1.0, 1)
    assert metric.details()["tokens"] == 2

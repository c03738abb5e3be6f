"""Tensor parallel training equals that of one device, resumes bit for bit, and saves unsharded weights."""

import re
import signal
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from aigc.config.problems import ConfigError
from aigc.distributed.strategies import share_batches
from aigc.distributed.tensor_parallel import _plan
from aigc.runs import Run
from tests.launch.test_ranks import ONE, RANKS, SLOW, STEPS, stepped, values
from tests.launch.tiny_runs import assert_same, place_at, start, the_run
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

NOT_ITS_OWN = ("model.settings.", "optimizer.lr", "trainer.validate")
SHARED = [
    *(override for override in RANKS if not override.startswith(NOT_ITS_OWN)),
    "optimizer.lr=0.005",
    "trainer.validate_every_n_steps=5",  # and once more at the end, by itself
    "model=llama",
    "~model.settings.num_hidden_layers",
    "+model.settings.num_hidden_layers=2",
    "model.settings.num_attention_heads=4",
    "model.settings.num_key_value_heads=2",
    "model.settings.hidden_size=32",
    "model.settings.intermediate_size=48",
]
QWEN3 = ["model.architecture=qwen3", "+model.settings.head_dim=8", "model.settings.tie_word_embeddings=false"]
TOGETHER = ["trainer=model_parallel", "trainer.accelerator=cpu"]
TWO = [*TOGETHER, "trainer.devices=2", "data.batch_size=4"]
FOUR = [*TOGETHER, "trainer.devices=4", "data.batch_size=2"]


def finished(place: Path, *more: str) -> Run:
    child = start(place_at(place), ["train", *SHARED, *more])
    assert child.wait() == 0, child.output
    return the_run(place)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Run:
    """Two ranks that compute together and were never stopped."""
    return finished(folder / "whole", *TWO)


def assert_learned_the_same(one: Run, other: Run) -> None:
    from safetensors.torch import load_file

    for name in ("train/loss", "train/gradient_norm", "val/perplexity"):
        assert values(one, name) == pytest.approx(values(other, name), rel=5e-5), name
    assert len(values(one, "train/loss")) == STEPS
    shared, alone = (load_file(run.model / "model.safetensors") for run in (one, other))
    assert shared.keys() == alone.keys()
    for name, weights in alone.items():
        torch.testing.assert_close(shared[name], weights, rtol=1e-3, atol=1e-4)


def test_two_ranks_that_compute_together_learn_what_one_device_learns(whole: Run, folder: Path) -> None:
    assert_learned_the_same(whole, finished(folder / "alone", *ONE))


def test_groups_of_ranks_learn_the_same_and_norms_of_heads_from_the_heads_of_all(folder: Path) -> None:
    shared = finished(folder / "groups", *QWEN3, *FOUR)
    assert_learned_the_same(shared, finished(folder / "qwen3", *QWEN3, *ONE))


def test_a_run_stopped_by_a_signal_is_resumed_bit_for_bit(whole: Run, folder: Path) -> None:
    place = place_at(folder / "stopped")
    child = start(place, ["train", *SHARED, *TWO, "run.resume=auto", *SLOW])
    wait_until(lambda: child.ended or stepped(place) >= 3)
    child.send(signal.SIGTERM)
    assert child.wait() == 75, child.output
    alone = ["trainer.strategy=auto", "trainer.tensor_parallel_size=1", *ONE]
    refused = start(place, ["resume", "latest", "~callbacks.slow", *alone, "--trust=tests"])
    assert refused.wait() == 2
    assert "number of ranks that compute each batch together was 2 and is 1" in refused.output
    again = start(place, ["resume", "latest", "~callbacks.slow", "--trust=tests"])
    assert again.wait() == 0, again.output
    assert_same(the_run(place), whole)


def test_an_architecture_without_a_plan_is_refused() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=2, n_embd=4, vocab_size=8, n_positions=8))
    with pytest.raises(ConfigError, match=r"trainer\.tensor_parallel_size: GPT2LMHeadModel "):
        _plan(model, 2)


def test_indivisible_heads_are_refused() -> None:
    model = build_llama(heads=3)
    with pytest.raises(ConfigError) as told:
        _plan(model, 2)
    assert "model.settings.num_attention_heads=3 " in str(told.value)


@pytest.mark.parametrize(
    ("name", "ranks", "together", "message"),
    [
        ("model_parallel", 2, 3, "2 ranks (trainer.devices times trainer.nodes) are not a multiple of 3"),
        ("fsdp", 2, 2, "only trainer.strategy=model_parallel splits layers"),
    ],
)
def test_ranks_that_cannot_compute_together_are_refused(name: str, ranks: int, together: int, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        share_batches(name, ranks, together)


def build_llama(heads: int) -> LlamaForCausalLM:
    sizes = {"hidden_size": 12, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 8}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=heads, num_key_value_heads=heads))

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from aigc.errors import InputError, PreemptedRun
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.runs import stop
from tests.conftest import REPOSITORY
from tests.training.helpers import text_data, tiny_model
from tests.waiting import PATIENCE, takes_at_most

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少", "白日依山盡", "黃河入海流"]
PROMPTS = ["春", "處處聞", "", "花落知多少", "夜來"]
GREEDY = Sampling(temperature=0.0, max_new_tokens=8)


@pytest.fixture
def parts(tmp_path):
    data = text_data(tmp_path, TEXTS)
    return tiny_model(data), data.tokenizer


@pytest.mark.parametrize("side", ["left", "right"])
def test_batched_equals_one_by_one(parts, side):
    model, tokenizer = parts
    tokenizer.padding_side = side
    together = generate_texts(model, tokenizer, PROMPTS, GREEDY)
    single = [generate_texts(model, tokenizer, [prompt], GREEDY)[0] for prompt in PROMPTS]
    assert together == single


def test_the_batch_size_does_not_change_greedy_texts(parts):
    small = Sampling(temperature=0.0, max_new_tokens=8, batch_size=2)
    assert generate_texts(*parts, PROMPTS, small) == generate_texts(*parts, PROMPTS, GREEDY)


def test_special_and_unknown_tokens_are_never_sampled(parts):
    model, tokenizer = parts
    texts = generate_texts(model, tokenizer, [""] * 50, Sampling(temperature=5.0, max_new_tokens=20))
    assert not any("<|" in text for (text,) in texts)
    # Ids beyond the tokenizer's, as padded vocabularies have them, would decode to nothing.
    model.resize_token_embeddings(len(tokenizer) + 50)
    with torch.no_grad():
        model.get_output_embeddings().weight[len(tokenizer) :] = 10.0
    texts = generate_texts(model, tokenizer, [""] * 20, Sampling(temperature=5.0, max_new_tokens=5))
    assert any(text for (text,) in texts)


def test_the_same_seed_gives_the_same_texts_and_training_randomness_is_untouched(parts):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = generate_texts(*parts, PROMPTS, Sampling(max_new_tokens=8, seed=1))
    assert torch.equal(torch.rand(2), expected)
    assert generate_texts(*parts, PROMPTS, Sampling(max_new_tokens=8, seed=1)) == first
    assert generate_texts(*parts, PROMPTS, Sampling(max_new_tokens=8, seed=2)) != first


def test_training_mode_is_put_back(parts):
    model, _ = parts
    model.train()
    generate_texts(*parts, ["春"], GREEDY)
    assert model.training


@pytest.mark.parametrize("sampling", [Sampling(num_samples=3), Sampling(num_beams=4, num_samples=3, temperature=0.0)])
def test_as_many_texts_as_asked(parts, sampling):
    assert [len(texts) for texts in generate_texts(*parts, PROMPTS, sampling)] == [3] * len(PROMPTS)


def test_a_prompt_longer_than_the_context_is_said(parts):
    with pytest.raises(InputError, match=r"prompt '春春.* tokens .*context is 32"):
        generate_texts(*parts, ["春" * 32], GREEDY)


def test_a_long_prompt_takes_no_room_from_a_short_one(parts):
    sampling = Sampling(temperature=0.0)
    together = generate_texts(*parts, ["春", "花" * 5], sampling)
    assert together == [generate_texts(*parts, [prompt], sampling)[0] for prompt in ("春", "花" * 5)]


def test_a_long_prompt_is_shortened_on_the_left_where_asked(parts):
    sampling = Sampling(temperature=0.0, max_new_tokens=4)
    (long,) = generate_texts(*parts, ["處" * 100 + "花落知多少"], sampling, shorten=True)
    assert long[0]


def test_several_texts_from_a_certain_choice_are_refused(parts):
    with pytest.raises(InputError, match="always gives the same text"):
        generate_texts(*parts, ["春"], Sampling(temperature=0.0, num_samples=2))


class Asks(StoppingCriteria):
    """Sends a signal to this process when so many tokens were written."""

    def __init__(self, number, after=3):
        self.number, self.after, self.tokens = number, after, 0

    def __call__(self, input_ids, scores, **kwargs):
        self.tokens += 1
        if self.tokens == self.after:
            os.kill(os.getpid(), self.number)
        return torch.zeros(len(input_ids), dtype=torch.bool)


def generating_with(model, criterion, monkeypatch):
    real, calls = model.generate, []

    def generate(*, stopping_criteria, **named):
        criteria = StoppingCriteriaList([criterion, *stopping_criteria])
        output = real(stopping_criteria=criteria, **named)
        calls.append(output.shape[1] - named["input_ids"].shape[1])
        return output

    monkeypatch.setattr(model, "generate", generate)
    return calls


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(max_new_tokens=20, batch_size=2),
        Sampling(temperature=0.0, max_new_tokens=20, batch_size=2),
        Sampling(temperature=0.0, num_beams=2, max_new_tokens=20, batch_size=2),
    ],
    ids=["sampled", "greedy", "beams"],
)
def test_generation_ends_within_a_batch_when_asked(parts, monkeypatch, sampling):
    model, tokenizer = parts
    model.train()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    written = generating_with(model, Asks(signal.SIGTERM), monkeypatch)
    with stop.listening(), pytest.raises(PreemptedRun, match="SIGTERM"):
        generate_texts(model, tokenizer, PROMPTS, sampling)
    assert written == [3]  # of 20 tokens in the first of three batches
    assert model.training
    assert torch.equal(torch.rand(2), expected)


def test_nobody_asks_and_generation_goes_to_its_end(parts, monkeypatch):
    model, tokenizer = parts
    written = generating_with(model, Asks(signal.SIGTERM, after=10**9), monkeypatch)
    with stop.listening():
        texts = generate_texts(model, tokenizer, PROMPTS, Sampling(max_new_tokens=20, batch_size=2))
    assert len(written) == 3
    assert max(written) > 3
    assert len(texts) == len(PROMPTS)


@pytest.mark.slow
def test_an_interrupt_in_a_real_generation_is_quick(tmp_path):
    code = """
import sys
from pathlib import Path
from aigc.errors import exit_code
from aigc.generation.texts import generate_texts
from aigc.generation.sampling import Sampling
from aigc.runs import stop
from tests.conftest import REPOSITORY
from aigc.runs import stop
from tests.training.helpers import text_data
from aigc.models import TransformersCausalLM
data = text_data(Path(sys.argv[1]), ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"])
settings = {"n_layer": 8, "n_head": 4, "n_embd": 256, "max_position_embeddings": 16000}
model = TransformersCausalLM(architecture="gpt2", settings=settings).create(data)
try:
    with stop.listening():
        print("ready", flush=True)
        generate_texts(model, data.tokenizer, ["春"] * 64, Sampling(max_new_tokens=15000, temperature=5.0))
except Exception as error:
    print(error, flush=True)
    sys.exit(exit_code(error))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    with takes_at_most(10):
        out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "interrupted\n")

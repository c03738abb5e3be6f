import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.modeling_outputs import CausalLMOutput

from aigc.data.text.tokenizer import PAD, TokenizerSettings, encode, make_tokenizer
from aigc.errors import InputError, PreemptedRun
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.models import TransformersCausalLM
from aigc.runs import stop
from tests.conftest import REPOSITORY
from tests.training.families import FAMILIES
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


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "gemma3_text", "mistral"])
def test_padding_changes_no_greedy_text_of_any_family(family):
    settings = TokenizerSettings(kind="character", min_frequency=1, unknown="token")
    tokenizer = make_tokenizer(settings, TEXTS)
    torch.manual_seed(0)
    data = SimpleNamespace(tokenizer=tokenizer, sequence_length=32)
    model = TransformersCausalLM(family, settings=FAMILIES[family]).create(data)
    single = [generate_texts(model, tokenizer, [prompt], GREEDY)[0] for prompt in PROMPTS]
    assert len({text for (text,) in single}) > 2
    for side, pad in (("left", PAD), ("right", PAD), ("right", tokenizer.eos_token), ("left", None)):
        tokenizer.padding_side, tokenizer.pad_token = side, pad
        assert generate_texts(model, tokenizer, PROMPTS, GREEDY) == single


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


@pytest.fixture(scope="module")
def of_bytes(tmp_path_factory):
    """A model whose tokens are bytes: a character of a stop text is three of them."""
    data = text_data(tmp_path_factory.mktemp("bytes"), TEXTS)
    tokenizer = make_tokenizer(TokenizerSettings(kind="bpe", vocabulary_size=258, min_frequency=99), TEXTS)
    return tiny_model(SimpleNamespace(tokenizer=tokenizer, sequence_length=data.sequence_length)), tokenizer


STOPPED = {
    "sampled": Sampling(max_new_tokens=20, seed=1),
    "greedy": Sampling(temperature=0.0, max_new_tokens=20),
    "several": Sampling(max_new_tokens=20, num_samples=4, seed=2),
}


@pytest.mark.parametrize("kind", STOPPED)
def test_a_text_ends_before_the_first_stop_text(parts, kind):
    sampling = STOPPED[kind]
    whole = generate_texts(*parts, PROMPTS, sampling)
    for stops in (whole[0][0][3:5], [whole[1][0][6], whole[1][0][2:4], "not there"]):
        cut = generate_texts(*parts, PROMPTS, replace(sampling, stop=stops))
        listed = [stops] if isinstance(stops, str) else stops
        assert cut == [[min((text.partition(one)[0] for one in listed), key=len) for text in texts] for texts in whole]
        assert cut != whole


def test_a_stop_text_of_several_tokens_ends_generation_when_it_is_whole(of_bytes, monkeypatch):
    model, tokenizer = of_bytes
    said = "夜來，風"
    ids = encode(tokenizer, [said])[0]
    assert len(ids) == len(said.encode())
    says = Says(model, ids)
    monkeypatch.setattr(model, "forward", says.forward)
    sampling = Sampling(temperature=0.0, max_new_tokens=31)
    assert generate_texts(model, tokenizer, [""], sampling)[0][0].startswith(said * 2)
    for stop_text, left in {"來，": "夜", "夜": "", "風": "夜來，", "風夜來": "夜來，", "雨": None}.items():
        written = generating_with(model, Asks(signal.SIGTERM, after=99), monkeypatch)
        says.written = 0
        (text,) = generate_texts(model, tokenizer, [""], replace(sampling, stop=stop_text))[0]
        end = (said * 3).find(stop_text)
        assert (text.startswith(said) if left is None else text == left) is True
        assert written == [31 if left is None else len((said * 3)[: end + len(stop_text)].encode())]


class Says:
    """A model that says some tokens again and again, after the one token of an empty prompt."""

    def __init__(self, model, ids):
        self.config, self.ids = model.config, ids
        self.written = 0

    def forward(self, input_ids, **named):
        logits = torch.zeros(*input_ids.shape, self.config.vocab_size)
        logits[:, -1, self.ids[self.written % len(self.ids)]] = 1.0
        self.written += 1
        return CausalLMOutput(logits=logits)


def test_beams_end_at_a_stop_text(parts):
    sampling = Sampling(temperature=0.0, num_beams=3, max_new_tokens=12)
    (whole,) = generate_texts(*parts, ["春"], sampling)[0]
    (cut,) = generate_texts(*parts, ["春"], replace(sampling, stop=whole[2]))[0]
    assert whole[2] not in cut
    assert len(cut) < len(whole)


def test_an_empty_stop_text_is_refused():
    for stops in ("", ["a", ""]):
        with pytest.raises(InputError, match="stop"):
            Sampling(stop=stops)


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

"""A text that is shown while it is written: whole characters, and in the end the same text."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from aigc.data.text.tokenizer import TokenizerSettings, encode, make_tokenizer
from aigc.generation.sampling import Sampling
from aigc.generation.streaming import TextStream
from aigc.generation.texts import generate_texts
from tests.training.helpers import tiny_model

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"]
SAID = "夜來，風😀end"


@pytest.fixture(scope="module", params=["bpe", "character"])
def tokenizer(request):
    """Bytes alone, or characters with a fallback to bytes."""
    settings = {
        "bpe": TokenizerSettings(kind="bpe", vocabulary_size=258, min_frequency=99),
        "character": TokenizerSettings(kind="character", min_frequency=1, unknown="bytes"),
    }
    return make_tokenizer(settings[request.param], TEXTS)


def streamed(tokenizer, ids, stops=(), ends=()):
    pieces = []
    stream = TextStream(tokenizer, {*ends}, stops, pieces.append)
    stream.put(torch.tensor([[7, 7]]))  # the prompt
    for one in ids:
        stream.put(torch.tensor([one]))
    before_the_end = "".join(pieces)
    stream.end()
    return pieces, before_the_end


def test_characters_of_several_tokens_come_whole(tokenizer):
    ids = encode(tokenizer, [SAID])[0]
    assert len(ids) > len(SAID)
    pieces, _ = streamed(tokenizer, ids)
    assert pieces == list(SAID)
    assert any("\ufffd" in tokenizer.decode([one]) for one in ids)  # each token alone would show one


def test_a_character_that_never_gets_whole_comes_at_the_end(tokenizer):
    ids = encode(tokenizer, ["夜😀"])[0][:-1]
    pieces, before = streamed(tokenizer, ids)
    assert before == "夜"
    assert "".join(pieces) == tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("stops", "left", "kept_back"),
    [(("，風",), "夜來", "夜來"), (("end", "😀x"), "夜來，風😀", "夜來，風😀"), (("nd!",), SAID, "夜來，風😀e")],
)
def test_no_part_of_a_stop_text_is_shown(tokenizer, stops, left, kept_back):
    pieces, before = streamed(tokenizer, encode(tokenizer, [SAID])[0], stops)
    assert ("".join(pieces), before) == (left, kept_back)


def test_nothing_is_shown_after_an_end_token(tokenizer):
    ids = [*encode(tokenizer, ["夜來"])[0], tokenizer.eos_token_id, *encode(tokenizer, ["風"])[0]]
    assert "".join(streamed(tokenizer, ids, ends=[tokenizer.eos_token_id])[0]) == "夜來"


@pytest.mark.parametrize("tokenizer", ["bpe"], indirect=True)
@pytest.mark.parametrize(
    "sampling", [Sampling(max_new_tokens=25, seed=3), Sampling(temperature=0.0, max_new_tokens=25)]
)
def test_all_pieces_are_the_text_that_is_returned(tokenizer, sampling):
    model = tiny_model(SimpleNamespace(tokenizer=tokenizer, sequence_length=32))
    alone = generate_texts(model, tokenizer, ["春"], sampling)
    for stop in (None, alone[0][0][-1:] or "x"):
        pieces = []
        told = generate_texts(model, tokenizer, ["春"], replace(sampling, stop=stop), show=pieces.append)
        assert "".join(pieces) == told[0][0]
    assert alone == generate_texts(model, tokenizer, ["春"], sampling, show=pieces.append)


@pytest.mark.parametrize("tokenizer", ["character"], indirect=True)
def test_invalid_bytes_do_not_take_back_what_was_shown(tokenizer):
    byte = tokenizer.convert_tokens_to_ids
    pieces, _ = streamed(tokenizer, [byte("<0x24>"), byte("<0xE5>"), *encode(tokenizer, ["春"])[0]])
    assert pieces == ["$", "\ufffd春"]  # decoded as a whole, the first byte is invalid as well

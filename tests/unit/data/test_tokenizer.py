"""Tokenizers lose nothing, are the same for the same texts, and keep text text."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from aigc.data.text.tokenizer import (
    END,
    PAD,
    UNKNOWN,
    TokenizerSettings,
    encode,
    load_pretrained,
    make_tokenizer,
    resolve,
    suppressed_tokens,
    unknown_characters,
    unknown_tokens,
)
from aigc.errors import InputError

TEXTS = ["春眠不覺曉，處處聞啼鳥。", "the cat sat on the mat", "春 the 夜\n來", "<|end|> <0x41> is text"] * 3
KINDS = ["character", "bpe"]
TOKENIZERS = {k: make_tokenizer(TokenizerSettings(kind=k, vocabulary_size=300), TEXTS) for k in KINDS}
any_character = st.characters(exclude_categories=["Cs"])
any_text = st.lists(any_character | st.sampled_from([END, PAD, "<0x41>", "春", " the", "\ufeff"])).map("".join)


def decode(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    return tokenizer.decode(ids, skip_special_tokens=False)


@pytest.mark.parametrize("kind", KINDS)
@given(text=any_text)
def test_any_text_comes_back_as_it_was(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = encode(tokenizer, [text])[0]
    assert decode(tokenizer, ids) == text
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_spells_a_special_token_stays_text(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = encode(tokenizer, [f"a{END}{PAD}b"])[0]
    assert not set(ids) & set(tokenizer.all_special_ids)
    careless = tokenizer(f"a{END}{PAD}b", add_special_tokens=False)["input_ids"]
    assert set(careless) & set(tokenizer.all_special_ids)  # what encode protects from


@pytest.mark.parametrize("unknown", ["bytes", "token"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_file_and_reading_it_back_changes_nothing(
    kind: str, unknown: str, tmp_path: Path
) -> None:
    settings = TokenizerSettings(kind=kind, vocabulary_size=300, unknown=unknown)
    for name in ("a", "b"):
        make_tokenizer(settings, TEXTS).save_pretrained(tmp_path / name)
    assert (tmp_path / "a/tokenizer.json").read_bytes() == (tmp_path / "b/tokenizer.json").read_bytes()
    made, read = make_tokenizer(settings, TEXTS), AutoTokenizer.from_pretrained(tmp_path / "a")
    text = f"春 the 😀 . {END} \n é"
    assert encode(read, [text]) == encode(made, [text])
    assert decode(read, encode(made, [text])[0]) == decode(made, encode(made, [text])[0])
    assert (read.eos_token, read.bos_token, read.pad_token) == (END, END, PAD)


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["春眠不覺曉"], "character"),
        (["ひらがなとカタカナ"], "character"),
        (["한국어 문장"], "character"),
        (["春眠 abc", "x"], "bpe"),
        (["春眠 ab, 123 !!!"], "character"),
        (["plain English"], "bpe"),
        (["123 !!!"], "bpe"),
        ([], "bpe"),
    ],
)
def test_auto_chooses_characters_for_half_or_more_of_east_asian_letters(texts: list[str], kind: str) -> None:
    assert resolve(TokenizerSettings(), texts).kind == kind


def test_rare_characters_become_bytes_or_one_unknown_token() -> None:
    texts = ["aab"]
    as_bytes = make_tokenizer(TokenizerSettings(kind="character"), texts)
    assert len(as_bytes) == 2 + 256 + 1
    assert len(encode(as_bytes, ["a春"])[0]) == 1 + 3
    as_token = make_tokenizer(TokenizerSettings(kind="character", unknown="token"), texts)
    assert as_token.convert_ids_to_tokens(encode(as_token, ["ab春a"])[0]) == ["a", UNKNOWN, UNKNOWN, "a"]
    assert unknown_tokens(as_token) == [as_token.unk_token_id]
    assert len(unknown_tokens(as_bytes)) == 256


def test_unknown_characters_are_named_in_order() -> None:
    as_token = make_tokenizer(TokenizerSettings(kind="character", unknown="token"), TEXTS)
    as_bytes = make_tokenizer(TokenizerSettings(kind="character"), TEXTS)
    for tokenizer in (as_token, as_bytes):
        assert unknown_characters(tokenizer, "春龙眠飞\U0001f44d龙") == ["龙", "飞", "\U0001f44d", "龙"]
    assert unknown_characters(TOKENIZERS["bpe"], "龙\U0001f44d") == [], "its bytes are tokens like any other"


def test_generation_never_samples_special_tokens_but_the_end() -> None:
    tokenizer = make_tokenizer(TokenizerSettings(kind="character", unknown="token"), TEXTS)
    assert tokenizer.convert_ids_to_tokens(suppressed_tokens(tokenizer)) == [PAD, UNKNOWN]
    assert tokenizer.eos_token_id not in suppressed_tokens(tokenizer)


def test_a_bpe_vocabulary_has_the_size_asked_for() -> None:
    assert len(make_tokenizer(TokenizerSettings(kind="bpe", vocabulary_size=270), TEXTS)) == 270


def test_a_pretrained_tokenizer_is_taken_as_it_is(tmp_path: Path) -> None:
    TOKENIZERS["bpe"].save_pretrained(tmp_path / "t")
    taken = make_tokenizer(TokenizerSettings(kind="pretrained", path=str(tmp_path / "t")), ["ignored"])
    assert encode(taken, TEXTS) == encode(TOKENIZERS["bpe"], TEXTS)


def test_a_pretrained_tokenizer_that_is_missing_or_unfit_is_refused(tmp_path: Path, offline: None) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_pretrained(str(tmp_path / "none"))
    with pytest.raises(InputError, match="no tokenizer could be loaded from 'nobody/nothing'"):
        load_pretrained("nobody/nothing")
    endless = PreTrainedTokenizerFast(tokenizer_object=TOKENIZERS["bpe"].backend_tokenizer)
    endless.save_pretrained(tmp_path / "endless")
    with pytest.raises(InputError, match="has no end token"):
        load_pretrained(str(tmp_path / "endless"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "word"}, "kind is 'word'; allowed: auto, character, bpe, pretrained"),
        ({"unknown": "skip"}, "unknown is 'skip'; allowed: bytes, token"),
        ({"vocabulary_size": 100}, "vocabulary_size is 100; allowed: a whole number of at least 258"),
        ({"min_frequency": "2"}, "min_frequency is '2'; allowed: a whole number of at least 1"),
        ({"kind": "pretrained"}, "path goes with data.tokenizer.kind=pretrained"),
        ({"path": "gpt2"}, "path goes with data.tokenizer.kind=pretrained"),
    ],
)
def test_wrong_settings_say_what_is_allowed(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TokenizerSettings(**values)

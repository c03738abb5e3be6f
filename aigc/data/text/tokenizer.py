"""Tokenizers: made from the training texts, or taken from a pretrained model."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import regex
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from aigc.data.text.tokenizer_settings import TokenizerSettings
from aigc.errors import InputError
from aigc.models.pretrained import load_tokenizer

__all__ = ["END", "PAD", "UNKNOWN", "TokenizerSettings", "encode", "make_tokenizer", "resolve", "suppressed_tokens"]

END, PAD, UNKNOWN = "<|end|>", "<|pad|>", "<|unknown|>"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
_CHARACTER_SCRIPTS = regex.compile(r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Hangul}")
_LETTER = regex.compile(r"\p{L}")


def make_tokenizer(settings: TokenizerSettings, train_texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Make the tokenizer that `settings` ask for; the same texts give the same `tokenizer.json`, byte for byte.

    Args:
        settings: Which kind, and how large.
        train_texts: The texts it is made from; a pretrained one ignores them.

    Raises:
        InputError: A pretrained tokenizer is missing or unfit.
    """
    tokenizer = _make(settings, train_texts)
    for texts, special in ((settings.add_tokens, False), (settings.add_special_tokens, True)):
        tokenizer.add_tokens([AddedToken(text, normalized=False, special=special) for text in texts], special)
    return tokenizer


def _make(settings: TokenizerSettings, train_texts: Sequence[str]) -> PreTrainedTokenizerFast:
    kind = resolve(settings, train_texts).kind
    if kind == "pretrained":
        return load_pretrained(settings.path or "")
    backend = _character(settings, train_texts) if kind == "character" else _bpe(settings, train_texts)
    unknown = {"unk_token": UNKNOWN} if kind == "character" and settings.unknown == "token" else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=END,
        eos_token=END,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        **unknown,
    )


def resolve(settings: TokenizerSettings, train_texts: Iterable[str]) -> TokenizerSettings:
    """The settings with `auto` replaced: `character` when half of the letters are Han, kana or hangul, else `bpe`."""
    if settings.kind != "auto":
        return settings
    counts = _count(train_texts)
    letters = sum(n for character, n in counts.items() if _LETTER.match(character))
    dense = sum(
        n for character, n in counts.items() if _LETTER.match(character) and _CHARACTER_SCRIPTS.match(character)
    )
    return replace(settings, kind="character" if letters and 2 * dense >= letters else "bpe")


def _count(texts: Iterable[str]) -> Counter[str]:
    """How often each character occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    return counts


def _character(settings: TokenizerSettings, texts: Iterable[str]) -> Tokenizer:
    """A token for each character seen often enough; bytes or one unknown token for the others."""
    frequent = [(-n, character) for character, n in _count(texts).items() if n >= settings.min_frequency]
    characters = [character for _, character in sorted(frequent)]
    as_bytes = settings.unknown == "bytes"
    fallback = BYTES if as_bytes else (UNKNOWN,)
    vocabulary = {token: index for index, token in enumerate([END, PAD, *fallback, *characters])}
    # BPE without merges is a character model that falls back to bytes.
    model = (
        models.BPE(vocabulary, [], byte_fallback=True) if as_bytes else models.BPE(vocabulary, [], unk_token=UNKNOWN)
    )
    tokenizer = Tokenizer(model)
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()]) if as_bytes else decoders.Fuse()
    return tokenizer


def _bpe(settings: TokenizerSettings, texts: Iterable[str]) -> Tokenizer:
    """Byte-level BPE as in GPT-2: any text is representable."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        min_frequency=settings.min_frequency,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_pretrained(path: str) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder or of a model on the Hub; code that comes with it is never run.

    Raises:
        InputError: It is not there, cannot be reached, is not a fast tokenizer, or has no end token.
    """
    try:
        tokenizer = load_tokenizer(path)
    except InputError as error:
        raise InputError(f"data.tokenizer.path: {error}") from error
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"data.tokenizer.path: the tokenizer '{path}' has no end token (eos_token); set one and save it."
        )
    return tokenizer


def fingerprint(tokenizer: PreTrainedTokenizerFast) -> str:
    """SHA-256 of all that decides which ids a text gets."""
    special = sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
    return hashlib.sha256(f"{tokenizer.backend_tokenizer.to_str()}\0{special}".encode()).hexdigest()


def encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], special: bool = False) -> list[list[int]]:
    """Token ids of each text; none is added.

    Args:
        tokenizer: The tokenizer.
        texts: The texts.
        special: Whether a text that spells a special token, like `<|end|>`, means it; otherwise it stays text.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    before, backend.encode_special_tokens = backend.encode_special_tokens, not special
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(list(texts), add_special_tokens=False)]
    finally:
        backend.encode_special_tokens = before


def unknown_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The ids that stand for what the vocabulary does not hold: the unknown token and the bytes of rare characters."""
    vocabulary = tokenizer.get_vocab()
    ends = {tokenizer.eos_token_id, tokenizer.bos_token_id, None}
    return sorted({tokenizer.unk_token_id, *(vocabulary.get(byte) for byte in BYTES)} - ends)


def unknown_characters(tokenizer: PreTrainedTokenizerFast, text: str) -> list[str]:
    """The characters of a text that the tokenizer has no token for, in order.

    Bytes of a character count for a tokenizer made here, which has seen the character too rarely to learn it.
    """
    unknown = set(unknown_tokens(tokenizer)) if tokenizer.eos_token == END else {tokenizer.unk_token_id} - {None}
    ids = encode(tokenizer, list(text)) if unknown else []
    return [character for character, found in zip(text, ids, strict=False) if unknown & {*found}]


def special_ids(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """The ids of all special tokens."""
    added = (index for index, token in tokenizer.added_tokens_decoder.items() if token.special)
    return {*tokenizer.all_special_ids, *added}


def suppressed_tokens(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The ids that generation never samples: every special and unknown token but the end token, sorted."""
    return sorted({*special_ids(tokenizer), tokenizer.unk_token_id} - {tokenizer.eos_token_id, None})

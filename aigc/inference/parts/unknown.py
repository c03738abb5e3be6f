"""A warning of prompts in characters that a model has not learned."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from aigc.data.text.tokenizer import unknown_characters
from aigc.files.encodings import is_frequent
from aigc.printing import plural
from aigc.runs.console import log

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SHOWN = 20
_SCRIPTS = {
    "simplified": "东车门风飞龙马鸟鱼来见长国时书为会说这们开关对头还过学华红乡",
    "traditional": "東車門風飛龍馬鳥魚來見長國時書為會說這們開關對頭還過學華紅鄉",
}
"""The same frequent characters in both; those that a vocabulary has tell in which its texts are."""


def warn_of_unknown(tokenizer: "PreTrainedTokenizerFast", prompts: Sequence[str]) -> None:
    """Log how many characters of the prompts a model does not know, if there are any."""
    whole = "".join(prompts)
    unknown = unknown_characters(tokenizer, whole)
    if not unknown:
        return
    different = list(dict.fromkeys(unknown))
    shown = "".join(different[:_SHOWN]) + ("..." if len(different) > _SHOWN else "")
    of = "the prompt" if len(prompts) == 1 else plural(len(prompts), "prompt")
    log.warning(
        "%d of %d characters of %s are unknown to this model: %s%s",
        len(unknown),
        len(whole),
        of,
        shown,
        _hint(different, tokenizer.get_vocab().keys()),
    )


def _hint(unknown: Sequence[str], vocabulary: Collection[str]) -> str:
    """Return which script the model has learned, where characters of the other one are unknown to it."""
    known = {script: sum(one in vocabulary for one in characters) for script, characters in _SCRIPTS.items()}
    script = max(known, key=lambda name: known[name])
    if known[script] <= 4 * min(known.values()):  # of both, or of neither
        return ""
    if not any(_is_of_other(one, script) for one in unknown):
        return ""
    return f". Its training texts are in {script} Chinese characters: write the prompt in them"


def _is_of_other(one: str, script: str) -> bool:
    """Whether a character is frequent in the other script and not written in this one."""
    own, other = ("gb2312", "big5") if script == "simplified" else ("big5", "gb2312")
    return is_frequent(one, other) and not one.encode(own, "ignore")

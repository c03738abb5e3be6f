"""Cut text into sentences by its punctuation alone, with nothing to download."""

import regex

_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_CLOSING = r"""["'\p{Pe}\p{Pf}]"""
# The marks of English also stand in numbers, names and abbreviations, where a character follows.
_END = regex.compile(
    rf"""
      [。！？][。！？.!?]*{_CLOSING}*
    | (?<![.!?])[.!?]++(?: {_CLOSING}*+(?=\s|\Z) | {_CLOSING}++(?={_UNSPACED}) )
    | (?<={_UNSPACED})[.!?]++(?={_UNSPACED})
    """,
    regex.VERBOSE | regex.VERSION1,
)


def split_lines(text: str) -> list[str]:
    """The lines of a text that are not empty, cut at line feeds alone as rouge_score does."""
    return [line for line in text.split("\n") if line]


def split_sentences(text: str) -> list[str]:
    """The sentences of a text: cut at line feeds and after 。！？ and . ! ?

    Quotation marks and brackets that close stay with the sentence before them. After . ! ? (and what closes there) must
    come white space, the end, or between Chinese or Japanese characters nothing at all: 3.14, e.g.this and GPT-4.5 stay
    whole. There is no list of abbreviations: "Mr. Smith" is cut.
    """
    return [stripped for line in _END.sub("\\g<0>\n", text).split("\n") if (stripped := line.strip())]

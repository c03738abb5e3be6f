"""Remove passwords and tokens from everything that a run writes.

A value is a secret by the name of its key (`hf_token`, `api_key`, `password`) or by its own form (`hf_...`, `ghp_...`,
`AKIA...`). Many keys of language models have tokens that are not secrets (`pad_token`, `max_new_tokens`,
`eos_token_id`): they are kept, as removing them would change the meaning of a config.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Literal

REDACTED = "<redacted>"

_WORD_BREAK = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SECRET_WORD = re.compile(r"secrets?|passwords?|passwd|passphrase|apikey|credentials?")
_SECRET_PAIRS = frozenset({("api", "key"), ("access", "key"), ("private", "key")})
# A key that ends in one of these describes a secret and does not hold it: password_file, token_id.
_ABOUT_WORD = re.compile(r"file|path|dir|folder|env|name|ids?|length|len|count|field|column|type")
# A *_token after one of these is a token of a vocabulary.
_VOCABULARY_WORD = re.compile(
    r"pad|eos|bos|unk|mask|sep|cls|eo[td]|stop|start|end|begin|special|extra|image|audio|video|class|lang(uage)?|newline|"
    r"separator|blank|prompt|target|source|decoder|encoder|per|max|min|num|new|next|last|first"
)
_PLAIN_VALUE = re.compile(r"(?i)null|none|~|true|false|\?\?\?")

_PATTERNS = [
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    (re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^\s/:@]*:[^\s/@]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"(\bhttps?://)(?=[^\s/:@]*\d)[\w-]{16,}@"), rf"\1{REDACTED}@"),
    (
        re.compile(r"(?i)([?&](?:\w+_)?(?:key|token|secret|passw(?:or)?d|pwd|auth|sig|signature)=)[^&\s#\"']+"),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)([?&]X-(?:Amz|Goog)-Signature=)[^&\s#\"']+"), rf"\1{REDACTED}"),
    (re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{20,}"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,})"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])sk-(?=[\w-]*[A-Za-z0-9]{16})[\w-]{20,}"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])(?:glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,})"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9])(?:AIza[\w-]{30,}|npm_[A-Za-z0-9]{30,})"), REDACTED),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"), REDACTED),  # a JSON web token
    (re.compile(r"(?<![A-Za-z0-9])wandb_v1_\w{20,}"), REDACTED),
    # Elsewhere, and here after an @ or /, 40 hexadecimal digits are a git commit.
    (re.compile(r"(?i)(wandb[^\n]{0,60}?)(?<![@/0-9a-z])[0-9a-f]{40}(?![0-9a-z])"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\bauthorization\s*[:=]\s*(?:basic|token|digest)\s+)[A-Za-z0-9+/=]{4,}"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\bbearer\s+)[A-Za-z0-9._~+/=-]{16,}"), rf"\1{REDACTED}"),
]

_WHOLE_LINE = re.compile(r"^(\s*(?:- )?[+~-]{0,2}[\"']?)([\w.@/-]+)([\"']?\s*[:=](?![=:/])\s*)(\S.*)$")
_PAIR = re.compile(r"(?<![\w.])([A-Za-z_][\w.-]*)([\"']?\s*[:=](?![=:/])\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&}\])\"']+)")
_RANDOM_LOOKING = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=-]{16,}")


def redact(text: str) -> str:
    """Replace the secrets in `key=value` or `key: value` text: overrides, command lines, messages.

    After a secret key at the start of a line, the whole rest of the line is replaced.
    """
    return _redact_patterns("\n".join(_redact_line(line) for line in text.split("\n")))


def redact_code(text: str) -> str:
    """Replace the secrets in a patch and keep program code.

    `token = tokenizer.encode(text)` is not a secret, so only literals are replaced: quoted ones, and long random ones.
    """

    def is_secret_literal(key: str, value: str) -> bool:
        bare = value.strip("\"'")
        quoted = bare != value and (len(bare) >= 16 or _secret_kind(key) == "surely")
        return (quoted or _RANDOM_LOOKING.fullmatch(bare) is not None) and _is_secret(key, value)

    return _redact_patterns(_redact_pairs(text, is_secret_literal))


def redact_arguments(arguments: Iterable[str]) -> list[str]:
    """Replace the secrets in a command line: `--token=x`, `--token x`, `+logger.wandb.api_key=x`."""
    result: list[str] = []
    flag = ""
    for argument in arguments:
        is_value = bool(flag) and not argument.startswith("-")
        result.append(REDACTED if is_value and _is_secret(flag, argument) else redact(argument))
        flag = argument.lstrip("-") if argument.startswith("--") and "=" not in argument else ""
    return result


def redact_mapping(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a copy of a nested mapping with its secrets replaced; `${...}` interpolations are kept."""
    return {key: _redact_node(str(key), value, (str(key),)) for key, value in mapping.items()}


def redact_yaml(text: str) -> str:
    """Replace the secrets of a config; a config without secrets is returned unchanged."""
    from omegaconf import OmegaConf  # 0.1 s, needed only to make a run

    config = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    if not isinstance(config, dict):
        return redact(text)
    redacted = redact_mapping(config)
    return text if redacted == config else OmegaConf.to_yaml(OmegaConf.create(redacted))


def is_secret(key: str, value: str) -> bool:
    """Return whether a value is a secret, by the name of its key or by its own form."""
    return _is_secret(key, value) or _redact_patterns(value) != value


def takes_secret(key: str) -> bool:
    """Return whether the last part of a dotted key is that of a secret, such as `logger.wandb.api_key`."""
    return bool(_secret_kind(key))


def _redact_node(key: str, value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        return {name: _redact_node(str(name), item, (*path, str(name))) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_node(key, item, path) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if _is_secret(key, str(value)):
        return REDACTED
    if not isinstance(value, str):
        return value
    under_wandb = any("wandb" in name.lower() for name in path)
    if under_wandb and re.fullmatch(r"[0-9a-f]{40}", value):
        return REDACTED
    return _redact_patterns(value)


def _redact_line(line: str) -> str:
    match = _WHOLE_LINE.match(line)
    if match and _is_secret(match[2], match[4]):
        return f"{match[1]}{match[2]}{match[3]}{REDACTED}"
    return _redact_pairs(line, _is_secret)


def _redact_pairs(text: str, is_secret: Callable[[str, str], bool]) -> str:
    pieces: list[str] = []
    done = position = 0
    while match := _PAIR.search(text, position):
        key, _, value = match.groups()
        if not is_secret(key, value):
            position = match.end(2)  # the value may hold pairs itself: options={token: x}
            continue
        quote = value[0] if value[0] in "\"'" else ""
        pieces += [text[done : match.start(3)], quote, REDACTED, quote]
        done = position = match.end()
    return "".join([*pieces, text[done:]])


def _redact_patterns(text: str) -> str:
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _is_secret(key: str, value: str) -> bool:
    kind = _secret_kind(key)
    value = value.strip().strip("\"'")
    if not kind or not value or value.startswith("${") or _PLAIN_VALUE.fullmatch(value):
        return False
    # A credential is neither a number nor written like <pad> or [MASK].
    return kind == "surely" or not (value[0] in "<[" or _is_number(value))


def _secret_kind(key: str) -> Literal["", "maybe", "surely"]:
    """Classify the last part of a dotted key: `surely` a secret, `maybe` one (a token), or none."""
    words = [word.lower() for word in _WORD_BREAK.split(key.rsplit(".", 1)[-1]) if word]
    while words and words[-1].isdigit():
        words.pop()
    if not words or _ABOUT_WORD.fullmatch(words[-1]):
        return ""
    if any(map(_SECRET_WORD.fullmatch, words)) or _SECRET_PAIRS.intersection(pairwise(words)):
        return "surely"
    if words[-1].endswith("token") and not any(map(_VOCABULARY_WORD.fullmatch, words)):
        return "maybe"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

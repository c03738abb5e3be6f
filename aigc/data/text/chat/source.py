"""Texts of chat templates: the built-in one, and values of the variables of any."""

import json
import re
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedTokenizerFast

from aigc.errors import InputError

PLAIN = (
    "{% for message in messages %}{{ message['role'] }}:\n{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{{ '\\n' }}{% endif %}"
)
"""The template of tokenizers that have none; roles are words of the text, and the end token ends an answer."""
PLAIN_NAME = "plain"


_SET, _SET_END = re.compile(r"\{%- set (\w+) = "), " -%}"


def with_variables(source: str, variables: Mapping[str, Any]) -> str:
    """Return a template in which some variables have values, in place of those that it begins with.

    Args:
        source: The template, which may have others already.
        variables: Texts, numbers, true or false, by name.
    """
    if not variables:
        return source
    values: dict[str, str] = {}
    while found := _first_value(source):
        values[found[0]] = found[1]
        source = source[found[2] :]
    values |= {name: json.dumps(value, ensure_ascii=False) for name, value in variables.items()}
    return "".join(f"{{%- set {name} = {value} -%}}" for name, value in values.items()) + source


def _first_value(source: str) -> tuple[str, str, int] | None:
    """Return the name and the value that a template begins by setting, and where what follows begins."""
    begin = _SET.match(source)
    if begin is None:
        return None
    try:
        _, at = json.JSONDecoder().raw_decode(source, begin.end())
    except ValueError:
        return None
    return (begin[1], source[begin.end() : at], at + len(_SET_END)) if source.startswith(_SET_END, at) else None


def own_template(tokenizer: PreTrainedTokenizerFast) -> str | None:
    """Return the chat template of a tokenizer; of several, the one called default.

    Raises:
        InputError: There are several, and none is called default.
    """
    several: str | dict[str, str] | None = tokenizer.chat_template
    if not isinstance(several, dict):
        return several
    if "default" not in several:
        raise InputError(
            f"data.chat.template: the tokenizer has several chat templates, and none is called default: "
            f"{', '.join(sorted(several))}; write the text of one into a file, and give that"
        )
    return several["default"]

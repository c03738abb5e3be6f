"""Texts of chat templates: the built-in one, and values of the variables of any."""

import json
from collections.abc import Mapping
from typing import Any

PLAIN = (
    "{% for message in messages %}{{ message['role'] }}:\n{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{{ '\\n' }}{% endif %}"
)
"""The template of tokenizers that have none; roles are words of the text, and the end token ends an answer."""
PLAIN_NAME = "plain"


def with_variables(source: str, variables: Mapping[str, Any]) -> str:
    """Return a template in which some variables have values.

    Args:
        source: The template, which may have them already.
        variables: Texts, numbers, true or false, by name.
    """
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in variables.items()}
    head = "".join(f"{{%- set {name} = {value} -%}}" for name, value in values.items())
    return source if source.startswith(head) else head + source

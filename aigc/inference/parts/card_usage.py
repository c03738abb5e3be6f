"""How an exported model is loaded by other tools, for its card; `FOLDER` is the folder or the name on the Hub."""

import json

from aigc.data.text.tokenizer import END
from aigc.inference.parts.asked import Asking
from aigc.inference.parts.generation_settings import starts_texts

_PRETOKENIZER = "llama.cpp knows no tokenizers that were trained for one model alone, as this one was."


def usage(kind: str) -> str:
    """Return how Transformers loads a model of a class."""
    return _code(
        "python",
        f"from transformers import AutoTokenizer, {kind}",
        f'model = {kind}.from_pretrained("FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
    )


def adapter_usage(kind: str) -> str:
    """Return how PEFT loads an adapter.

    Args:
        kind: The class of the base model.
    """
    return _code(
        "python",
        "from peft import PeftModel",
        f"from transformers import {kind}",
        f'model = PeftModel.from_pretrained({kind}.from_pretrained("BASE"), "FOLDER")',
    )


def text_usage(asking: Asking, stops: tuple[str, ...]) -> str:
    """Return how a language model writes texts in Transformers, vLLM and llama.cpp.

    Args:
        asking: How prompts were made in training.
        stops: Texts that end a completion.
    """
    tokenizer, start = asking.tokenizer, _start(asking)
    given = _given_messages(asking) if asking.chat else _quoted(f"{start}TEXT{asking.separator}")
    parts = [
        "Sampling settings and end tokens are in `generation_config.json`. With Transformers:",
        _code(
            "python",
            "from transformers import pipeline",
            'write = pipeline("text-generation", model="FOLDER")',
            f"print(write({given}, max_new_tokens=100)[0]['generated_text'])",
        ),
        "With vLLM:",
        _code("bash", "vllm serve FOLDER"),
    ]
    if said := prompt_usage(asking):
        parts.append(said)
    if tokenizer.eos_token == END:
        parts.append(_PRETOKENIZER)
    else:
        parts += ["With llama.cpp:", _code("bash", "python convert_hf_to_gguf.py FOLDER", "llama-cli -m FOLDER/*.gguf")]
    if stops:
        parts.append("Completions end before " + " or ".join(f"`{text!r}`" for text in stops) + ".")
    return "\n\n".join(parts)


def prompt_usage(asking: Asking) -> str:
    """Return what prompts need that neither tokenizer nor template adds; empty where that is nothing."""
    said = []
    if start := _start(asking):
        said.append(
            f"In training each text began with `{start}`, which the tokenizer does not add: begin prompts with it."
        )
    if asking.separator and not asking.chat:
        said.append(f"In training each prompt ended with `{_quoted(asking.separator)}`: end prompts with it.")
    if asking.system and asking.chat:
        message = f"`{_quoted(asking.system)}`"
        said.append(f"In training conversations began with the system message {message}: begin them with it.")
    return " ".join(said)


def _start(asking: Asking) -> str:
    """Return the start token where neither the chat template nor the tokenizer writes it."""
    return "" if asking.chat or starts_texts(asking.tokenizer) else str(asking.tokenizer.bos_token)


def _given_messages(asking: Asking) -> str:
    system = [{"role": "system", "content": asking.system}] if asking.system else []
    return _quoted([*system, {"role": "user", "content": "TEXT"}])


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])

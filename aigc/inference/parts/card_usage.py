"""How an exported model is loaded by other tools, for its card; `FOLDER` is the folder or the name on the Hub."""

from typing import Any

from aigc.data.text.tokenizer import END
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


def text_usage(tokenizer: Any, stops: tuple[str, ...]) -> str:
    """Return how a language model writes texts in Transformers, vLLM and llama.cpp.

    Args:
        tokenizer: Its tokenizer, with or without a chat template.
        stops: Texts that end a completion.
    """
    start = "" if tokenizer.chat_template or starts_texts(tokenizer) else tokenizer.bos_token
    given = '[{"role": "user", "content": "TEXT"}]' if tokenizer.chat_template else f'"{start}TEXT"'
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
    if start:
        parts.append(
            f"In training each text began with `{start}`, which the tokenizer does not add: begin prompts with it."
        )
    if tokenizer.eos_token == END:
        parts.append(_PRETOKENIZER)
    else:
        parts += ["With llama.cpp:", _code("bash", "python convert_hf_to_gguf.py FOLDER", "llama-cli -m FOLDER/*.gguf")]
    if stops:
        parts.append("Completions end before " + " or ".join(f"`{text!r}`" for text in stops) + ".")
    return "\n\n".join(parts)


def _code(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```"])

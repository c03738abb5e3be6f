"""Causal language models in the layout of Transformers."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.inference.base import Generated, Request
from aigc.inference.transformers_model import SavedTransformersModel

if TYPE_CHECKING:
    from aigc.inference.parts.chat_session import ChatSession


@dataclass(frozen=True)
class TextKeys(Sampling):
    """What `aigc generate` takes for texts: a prompt and the sampling controls."""

    prompt: str | None = None
    """Text to continue; null reads prompts from --prompts or a pipe, or else lets the model start by itself."""
    separator: str | None = None
    """Text that follows each prompt that does not end in it; null takes data.separator of a run trained on prompts."""
    completion_only: bool = False
    """Print what the model writes without the prompt before it; --json and .jsonl have both apart."""


class SavedCausalLM(SavedTransformersModel):
    """A causal language model and its tokenizer, which continues texts."""

    makes = "texts"
    keys = TextKeys
    usage = (
        "Texts go to stdout, or to --out FILE: for prompt=TEXT, for each line of a file, or for each line of stdin. "
        "Without a prompt, generation is unconditional."
    )
    options: ClassVar = {
        "prompts": "read prompts from a file, one a line, but for blank lines; - is stdin",
        "out": "FILE.txt or FILE.jsonl (stdout)",
        "force": "replace a file that exists",
    }
    pipeline = "text-generation"

    def generate(self, request: Request) -> Iterator[Generated]:
        """Write `num_samples` texts for each prompt; see `SavedModel.generate`."""
        from aigc.inference.parts.text_file import TextFile

        file = None if request.out is None else TextFile(request.out, request.force)
        keys = _in_utf8(request.keys)
        separator = self._separator() if keys.separator is None else keys.separator
        prompts = [_separated(prompt, separator) for prompt in _prompts(request, keys.prompt)]
        results = self._results(prompts, keys)
        yield from results if file is None else [file.write(results)]

    def _results(self, prompts: list[str], keys: TextKeys) -> list[Generated]:
        from aigc.generation.texts import generate_texts
        from aigc.inference.parts.unknown import warn_of_unknown

        model, tokenizer = self._on_device()
        warn_of_unknown(tokenizer, prompts)
        texts = generate_texts(model, tokenizer, prompts, keys)
        return [
            Generated(text if keys.completion_only else prompt + text, {"prompt": prompt, "text": text})
            for prompt, several in zip(prompts, texts, strict=True)
            for text in several
        ]

    def chat(self) -> "ChatSession":
        """Begin a conversation with the chat template of the tokenizer; see `SavedModel.chat`."""
        from aigc.data.text.chat.template import ChatTemplate
        from aigc.data.text.prompts import text_prompts
        from aigc.inference.parts.chat_session import ChatSession

        model, tokenizer = self._on_device()
        separator = self._separator()
        chat = (self.run.config.get("data") or {}).get("chat") or {}
        return ChatSession(
            model,
            tokenizer,
            ChatTemplate.of(tokenizer),
            lambda text: text_prompts(tokenizer, [_separated(text, separator)])[0],
            chat.get("system"),
        )

    def _on_device(self) -> tuple[Any, Any]:
        """Load model and tokenizer, on the GPU where there is one."""
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        model, tokenizer = self.load()
        return (model.to("cuda") if torch.cuda.is_available() else model), tokenizer

    def _complete(self, model: Any, tokenizer: Any) -> None:
        from aigc.inference.parts.generation_settings import add_start, sampling_of, set_defaults

        if sampling := sampling_of(self.run):
            set_defaults(model, tokenizer, sampling)
        if not tokenizer.chat_template:
            add_start(tokenizer)

    def _usage(self, model: Any, tokenizer: Any) -> str:
        from aigc.inference.parts.card_usage import text_usage
        from aigc.inference.parts.generation_settings import sampling_of

        sampling = sampling_of(self.run)
        return text_usage(tokenizer, sampling.stops if sampling else ())

    def _separator(self) -> str:
        """Return what the run's data put between a prompt and its completion, as the model has learned it."""
        data = self.run.config.get("data") or {}
        return str(data.get("separator") or "") if data.get("prompt_column") else ""

    def _read(self, folder: Path, **settings: Any) -> Any:
        from transformers import AutoModelForCausalLM

        read = partial(AutoModelForCausalLM.from_pretrained, local_files_only=True, use_safetensors=True)
        return read(folder, trust_remote_code=False, **settings).eval()


def _separated(prompt: str, separator: str) -> str:
    """Return a prompt with its separator; an empty one, without which the model starts by itself, stays empty."""
    return prompt if not prompt or prompt.endswith(separator) else prompt + separator


def _in_utf8(keys: TextKeys) -> TextKeys:
    """Decode texts that the system's encoding, such as ASCII, could not decode when they were typed.

    Raises:
        InputError: They are not UTF-8 either, which tokenizers need.
    """
    typed = {"prompt": keys.prompt, "separator": keys.separator, "stop": keys.stop}
    try:
        return replace(keys, **{name: _decoded(value) for name, value in typed.items()})
    except UnicodeError as error:
        raise InputError("prompt, separator or stop: not UTF-8; --prompts reads prompts from a file") from error


def _decoded(value: Any) -> Any:
    """Decode a text, or each of a list; raises UnicodeError."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return os.fsencode(value).decode("utf-8") if isinstance(value, str) and not _is_unicode(value) else value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _prompts(request: Request, prompt: str | None) -> list[str]:
    """The prompts; one empty one where nothing is given."""
    if prompt is not None and request.prompts_file is not None:
        raise InputError("give either prompt= or --prompts, not both")
    return [prompt] if prompt is not None else request.read_prompts() or [""]

"""Causal language models in the layout of Transformers."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.inference.base import Generated, Request
from aigc.inference.parts.model_folder import ModelFolder
from aigc.inference.transformers_model import SavedTransformersModel

if TYPE_CHECKING:
    from aigc.inference.parts.asked import Asking
    from aigc.inference.parts.chat_session import ChatSession


@dataclass(frozen=True)
class TextKeys(Sampling):
    """What `aigc generate` takes for texts: a prompt and the sampling controls."""

    prompt: str | None = None
    """Text to continue or to answer; null reads from --prompts, --file or a pipe, or lets the model start by itself."""
    messages: list[dict[str, Any]] | None = None
    """Conversation to answer, as JSON: `[{"role":"user","content":"..."}]`."""
    chat: bool | None = None
    """Whether a prompt is a message to answer, with the chat template; null as the run was trained."""
    system: str | None = None
    """System message of conversations that have none; null takes data.chat.system of the run."""
    separator: str | None = None
    """Text that follows each prompt that does not end in it; null takes data.separator of a run trained on prompts."""
    completion_only: bool = False
    """Print what the model writes without the prompt before it; --json and .jsonl have both apart."""


class SavedCausalLM(SavedTransformersModel):
    """A causal language model and its tokenizer, which continues texts."""

    makes = "texts"
    keys = TextKeys
    usage = (
        "Texts go to stdout, or to --out FILE: for prompt=TEXT, for messages=JSON, for each line or row of a file, or "
        "for each line of stdin. Without a prompt, generation is unconditional."
    )
    options: ClassVar = {
        "prompts": "read prompts from a file, one a line, but for blank lines; - is stdin",
        "file": "read rows of JSON with `prompt` or `messages`; what else they hold is kept in the results; - is stdin",
        "out": "FILE.txt or FILE.jsonl (stdout)",
        "force": "replace a file that exists",
    }
    pipeline = "text-generation"

    def generate(self, request: Request) -> Iterator[Generated]:
        """Write `num_samples` texts for each prompt; see `SavedModel.generate`."""
        from aigc.inference.parts.text_file import TextFile

        file = None if request.out is None else TextFile(request.out, request.force)
        keys = _in_utf8(request.keys)
        results = self._results(_rows(request, keys), request.rows_file or "", keys)
        yield from results if file is None else [file.write(results)]

    def _results(self, rows: Sequence[Mapping[str, Any]], source: str, keys: TextKeys) -> list[Generated]:
        from aigc.generation.texts import generate_texts
        from aigc.inference.parts.asked import Asking
        from aigc.inference.parts.unknown import warn_of_unknown
        from aigc.models.end_tokens import add_end_tokens

        model, tokenizer = self._on_device()
        separator = self._separator() if keys.separator is None else keys.separator
        chat = keys.chat if keys.chat is not None else self._is_chat(tokenizer)
        asking = Asking(tokenizer, chat, separator, keys.system or self._system())
        asked = asking.asked(rows, source)
        warn_of_unknown(tokenizer, [one.prompt.text for one in asked])
        if chat or any("messages" in row for row in rows):
            add_end_tokens(model, tokenizer, asking.template.end_ids if asking.template else ())
        texts = generate_texts(model, tokenizer, [one.prompt for one in asked], keys)
        settings = {one.name: getattr(keys, one.name) for one in fields(Sampling)}
        settings = {name: value for name, value in settings.items() if value is not None}
        return [
            Generated(text if keys.completion_only else one.shown + text, {**one.record, "text": text} | settings)
            for one, several in zip(asked, texts, strict=True)
            for text in several
        ]

    def chat(self) -> "ChatSession":
        """Begin a conversation, with the chat template if the run was trained with it; see `SavedModel.chat`."""
        from aigc.inference.parts.chat_session import ChatSession

        model, tokenizer = self._on_device()
        return ChatSession(model, self._asking(tokenizer))

    def _on_device(self) -> tuple[Any, Any]:
        """Load model and tokenizer, on the GPU where there is one."""
        import torch
        from transformers.utils import logging

        logging.disable_progress_bar()
        model, tokenizer = self.load()
        return (model.to("cuda") if torch.cuda.is_available() else model), tokenizer

    def _complete(self, model: Any, tokenizer: Any) -> None:
        from aigc.inference.parts.generation_settings import add_start, name_context, sampling_of, set_defaults

        if sampling := sampling_of(self.run):
            set_defaults(model, tokenizer, sampling)
        name_context(model.config)
        if not tokenizer.chat_template:
            add_start(tokenizer)

    def _usage(self, model: Any, tokenizer: Any) -> str:
        from aigc.inference.parts.card_usage import text_usage
        from aigc.inference.parts.generation_settings import sampling_of

        sampling = sampling_of(self.run)
        return text_usage(self._asking(tokenizer), sampling.stops if sampling else ())

    def _prompt_usage(self, tokenizer: Any) -> str:
        from aigc.inference.parts.card_usage import prompt_usage

        return prompt_usage(self._asking(tokenizer))

    def _handed_on(self) -> dict[str, Any]:
        system = self._system() if self.notes.get("chat", True) else None
        said = {**self.notes, "separator": self._separator()}
        return {**said, "system": system} if system else said

    def _asking(self, tokenizer: Any) -> "Asking":
        """Return how prompts were made in training; runs of older versions do not say whether as messages."""
        from aigc.inference.parts.asked import Asking

        chat = bool(self.notes.get("chat", tokenizer.chat_template))
        return Asking(tokenizer, chat, self._separator(), self._system())

    def _separator(self) -> str:
        """Return what the run's data put between a prompt and its completion, as the model has learned it."""
        data = self.run.config.get("data") or {}
        of_older_runs = data.get("separator") or "" if data.get("prompt_column") else ""
        return str(self.notes.get("separator", of_older_runs))

    def _system(self) -> str | None:
        """Return the system message that the run's data gave to conversations without one."""
        return self.notes.get("system", ((self.run.config.get("data") or {}).get("chat") or {}).get("system"))

    def _is_chat(self, tokenizer: Any) -> bool:
        """Return whether the model was trained to answer; of a folder that does not say so, whether it can."""
        return bool(self.notes.get("chat", isinstance(self.run, ModelFolder) and tokenizer.chat_template))

    def _read(self, folder: Path, **settings: Any) -> Any:
        from transformers import AutoModelForCausalLM

        read = partial(AutoModelForCausalLM.from_pretrained, local_files_only=True, use_safetensors=True)
        return read(folder, trust_remote_code=False, **settings).eval()


def _in_utf8(keys: TextKeys) -> TextKeys:
    """Decode texts that the system's encoding, such as ASCII, could not decode when they were typed.

    Raises:
        InputError: They are not UTF-8 either, which tokenizers need.
    """
    typed = {"prompt": keys.prompt, "separator": keys.separator, "stop": keys.stop, "system": keys.system}
    try:
        return replace(keys, **{name: _decoded(value) for name, value in typed.items()})
    except UnicodeError as error:
        raise InputError("prompt, separator, stop or system: not UTF-8; --prompts reads prompts from a file") from error


def _decoded(value: Any) -> Any:
    """Decode a text, or each of a list; raises UnicodeError."""
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    return os.fsencode(value).decode("utf-8") if isinstance(value, str) and not _is_unicode(value) else value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _rows(request: Request, keys: TextKeys) -> list[dict[str, Any]]:
    """Return the rows; one of an empty prompt where nothing is given."""
    given = {"prompt=": keys.prompt, "messages=": keys.messages}
    given |= {"--prompts": request.prompts_file, "--file": request.rows_file}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise InputError(f"give either {' or '.join(named)}, not both")
    if keys.messages is not None:
        return [{"messages": keys.messages}]
    if request.rows_file is not None:
        return request.read_rows()
    prompts = [keys.prompt] if keys.prompt is not None else request.read_prompts() or [""]
    return [{"prompt": prompt} for prompt in prompts]

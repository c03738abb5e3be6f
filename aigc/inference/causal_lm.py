"""Causal language models in the layout of Transformers."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.inference.base import Generated, Request
from aigc.inference.transformers_model import SavedTransformersModel


@dataclass(frozen=True)
class TextKeys(Sampling):
    """What `aigc generate` takes for texts: a prompt and the sampling controls."""

    prompt: str | None = None
    """Text to continue; null reads prompts from --prompts or a pipe, or else lets the model start by itself."""


class SavedCausalLM(SavedTransformersModel):
    """A causal language model and its tokenizer, which continues texts."""

    makes = "texts"
    keys = TextKeys
    usage = (
        "Texts go to stdout: for prompt=TEXT, for each line of a file, or for each line of stdin. Without a prompt, "
        "generation is unconditional."
    )
    options: ClassVar = {"prompts": "read prompts from a file, one a line; - is stdin"}

    def generate(self, request: Request) -> Iterator[Generated]:
        """Write `num_samples` texts for each prompt; see `SavedModel.generate`."""
        prompts = _prompts(request)

        import torch
        import transformers

        from aigc.generation.texts import generate_texts

        transformers.utils.logging.disable_progress_bar()
        model, tokenizer = self.load()
        if torch.cuda.is_available():
            model = model.to("cuda")
        for prompt, texts in zip(prompts, generate_texts(model, tokenizer, prompts, request.keys), strict=True):
            for text in texts:
                yield Generated(prompt + text, {"prompt": prompt, "text": text})

    def _read(self, folder: Path, **settings: Any) -> Any:
        from transformers import AutoModelForCausalLM

        read = partial(AutoModelForCausalLM.from_pretrained, local_files_only=True, use_safetensors=True)
        return read(folder, trust_remote_code=False, **settings).eval()


def _prompts(request: Request) -> list[str]:
    """The prompts; one empty one where nothing is given."""
    prompt = request.keys.prompt
    if prompt is not None and request.prompts_file is not None:
        raise InputError("give either prompt= or --prompts, not both")
    return [prompt] if prompt is not None else request.read_prompts() or [""]

"""Causal language models in the layout of Transformers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.inference.base import SAFETENSORS, Comparison, Generated, Request, SavedModel

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class TextKeys(Sampling):
    """What `aigc generate` takes for texts: a prompt and the sampling controls."""

    prompt: str | None = None
    """Text to continue; null reads prompts from --prompts or a pipe, or else lets the model start by itself."""


class SavedCausalLM(SavedModel):
    """A causal language model and its tokenizer."""

    makes = "texts"
    keys = TextKeys
    options = frozenset({"prompts"})
    formats: ClassVar = {SAFETENSORS: "weights, configuration and tokenizer, for Transformers"}

    def load(self) -> tuple[Any, Any]:
        """Load (model, tokenizer); see `SavedModel.load`."""
        from transformers import AutoTokenizer

        folder = self.run.model
        if not folder.is_dir():
            raise InputError(f"run {self.run.id} has no model yet: let it finish.")
        try:
            model = self._read(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(f"{folder} does not hold a Transformers language model: {reason}") from error
        return model, tokenizer

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

    def measure(self, cfg: "DictConfig", overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        """Validate on held-out texts, through the same code as training does; see `SavedModel.measure`."""
        from aigc.inference.parts.validation import validate

        if not (self.run.model / "config.json").is_file():
            raise InputError(f"{self.run.id} has no model (status {self.run.status}); a finished run has one")
        # The model reads its own tokens, whatever the data: a newly trained tokenizer would number them differently.
        cfg.data.tokenizer = {"kind": "pretrained", "path": str(self.run.model)}
        return validate(self.run, cfg, overrides)

    def export(self, form: str, folder: Path, checkpoint: str | None) -> Comparison:
        """Compare logits of fixed tokens, to the last bit; see `SavedModel.export`."""
        import torch
        from transformers import AutoTokenizer

        from aigc.inference.parts.outputs import largest_difference

        model, tokenizer = self.load() if checkpoint is None else self._of_checkpoint(checkpoint)
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        fresh = self._read(folder, attn_implementation=model.config._attn_implementation, dtype=model.dtype)
        AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        length = min(getattr(model.config, "max_position_embeddings", None) or 16, 16)
        ids = torch.arange(2 * length).reshape(2, length) % model.config.vocab_size
        with torch.no_grad():
            difference = largest_difference(model(ids).logits, fresh(ids).logits)
        return Comparison(f"logits of {ids.numel()} fixed tokens, {_WEIGHTS} written and loaded again", difference, 0.0)

    def _read(self, folder: Path, **settings: Any) -> Any:
        from transformers import AutoModelForCausalLM

        read = partial(AutoModelForCausalLM.from_pretrained, local_files_only=True, use_safetensors=True)
        return read(folder, trust_remote_code=False, **settings).eval()

    def _of_checkpoint(self, name: str) -> tuple[Any, Any]:
        from aigc.inference.parts.checkpoint import load_task

        task, data, _ = load_task(self.run, name)
        return task.merged_model().eval(), data.tokenizer


_WEIGHTS = "model.safetensors"


def _prompts(request: Request) -> list[str]:
    """The prompts; one empty one where nothing is given."""
    prompt = request.keys.prompt
    if prompt is not None and request.prompts_file is not None:
        raise InputError("give either prompt= or --prompts, not both")
    return [prompt] if prompt is not None else request.read_prompts() or [""]

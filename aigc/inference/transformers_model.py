"""Models with any head of Transformers, in its own layout."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aigc.errors import InputError
from aigc.inference.base import SAFETENSORS, Comparison, Generated, Request, SavedModel
from aigc.printing import plural

if TYPE_CHECKING:
    from omegaconf import DictConfig

PEFT = "peft"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class NoKeys:
    """Nothing is generated, so `aigc generate` takes no keys."""


class SavedTransformersModel(SavedModel):
    """A model of Transformers and its tokenizer; it is measured and exported, and generates nothing."""

    makes = "predictions"
    keys: ClassVar[type] = NoKeys
    always_exported = ("config.json", "README.md")
    formats: ClassVar = {
        SAFETENSORS: "weights, configuration and tokenizer, for Transformers",
        PEFT: "the adapter alone and a tokenizer, for PEFT; adapter_config.json names the base model",
    }
    pipeline: ClassVar[str | None] = None
    """What the Hub calls that which the model does; None lets it find out."""

    @cached_property
    def notes(self) -> dict[str, Any]:
        """What the run's data have left in model/ for its use; empty for runs and exports of earlier versions."""
        from aigc.runs.files import read_mapping
        from aigc.runs.folder import MODEL_CLASS_FILE

        try:
            return read_mapping(self.run.model / MODEL_CLASS_FILE)
        except (OSError, ValueError):
            return {}

    def load(self) -> tuple[Any, Any]:
        """Load (model, tokenizer); see `SavedModel.load`."""
        from safetensors import SafetensorError
        from transformers import AutoTokenizer

        from aigc.models.pretrained import is_adapter

        folder = self.run.model
        if not folder.is_dir():
            raise InputError(f"run {self.run.id} has no model yet: let it finish.")
        part = "model"
        try:
            model = self._with_base(folder) if is_adapter(folder) else self._read(folder)
            part = "tokenizer"
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            reason = str(error).partition("\n")[0]
            raise InputError(
                f"{folder} holds no {part} of Transformers that can be read: {reason}. `aigc verify {self.run.id}` "
                "names damaged files."
            ) from error
        return model, tokenizer

    def generate(self, request: Request) -> Iterator[Generated]:
        """Raise InputError: the model generates nothing."""
        raise InputError(
            f"{self.run.id} makes {self.makes}, and generates nothing: `aigc eval` measures it, `aigc export` writes "
            "it. If its model continues texts, its task has to name aigc.inference.causal_lm.SavedCausalLM in "
            "`saved_model`"
        )

    def measure(self, cfg: "DictConfig", overrides: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
        """Validate on held-out texts, through the same code as training does; see `SavedModel.measure`."""
        from aigc.inference.parts.validation import validate_model

        if not (self.run.model / "config.json").is_file():
            raise InputError(f"{self.run.id} has no model (status {self.run.status}); a finished run has one")
        self.adapt_data(cfg)
        return validate_model(self.run, cfg, overrides)

    def adapt_data(self, cfg: "DictConfig") -> None:
        """Make data use the tokenizer in model/: a new one would number the tokens differently."""
        from aigc.config.targets import signature

        if "tokenizer" in signature(cfg.data["_target_"]).parameters:
            cfg.data.tokenizer = {"kind": "pretrained", "path": str(self.run.model)}

    def export(self, form: str, folder: Path, checkpoint: str | None) -> Comparison:
        """Compare logits of fixed tokens, to the last bit; see `SavedModel.export`."""
        from transformers import AutoTokenizer
        from transformers.utils import logging

        from aigc.launch import data_state
        from aigc.models.adapters.merging import merge_note
        from aigc.models.probe import fixed_logits, fixed_tokens, largest_difference

        logging.disable_progress_bar()
        step = None
        if form == PEFT:
            from aigc.inference.parts.adapter import export_adapter

            return export_adapter(self.run, folder, checkpoint, self.pipeline, self._hand_on)
        if checkpoint is None:
            (model, tokenizer), state = self.load(), data_state.read(self.run.model)
            self._check_merged(model)
        else:
            model, tokenizer, state, step = self._of_checkpoint(checkpoint)
        self._complete(model, tokenizer)
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        self._write_card(model, tokenizer, folder, step)
        self._write_notes(folder)
        data_state.write(state, folder)
        fresh = self._read(folder, attn_implementation=model.config._attn_implementation, dtype=model.dtype)
        AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        ids = fixed_tokens(model.config)
        difference = largest_difference(fixed_logits(model, ids), fixed_logits(fresh, ids))
        what = f"logits of {plural(ids.numel(), 'fixed token')}, {_WEIGHTS} written and loaded again"
        return Comparison(what, difference, 0.0, merge_note(model, self.run.model))

    def _read(self, folder: Path, **settings: Any) -> Any:
        """Read a model of the class that its configuration names; Transformers has it, so it runs no other code."""
        import transformers

        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        named = (transformers.AutoConfig.from_pretrained(folder, **local).architectures or [""])[0]
        kind = getattr(transformers, named, None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            raise ValueError(f"config.json names the class {named!r}, which Transformers does not have")
        loader: Any = kind
        return loader.from_pretrained(folder, use_safetensors=True, **local, **settings).eval()

    def _with_base(self, folder: Path) -> Any:
        """Read a model whose adapter lies in a folder of its own, with its base model."""
        from aigc.config import build
        from aigc.models import TransformersCausalLM, TransformersModel

        node = self.run.config.get("model")  # a folder has no config; an adapter in one is that of a causal model
        factory = build(node, TransformersModel, "model") if node else TransformersCausalLM(path=str(folder))
        return factory.from_folder(folder).read().eval()

    def _check_merged(self, model: Any) -> None:
        """Check that all of the model is in its weights; virtual tokens are not."""
        from aigc.models.context import VIRTUAL

        if getattr(model.config, VIRTUAL, 0):
            raise InputError(f"{self.run.id} has trained virtual tokens, which are no weights: use --format {PEFT}")

    def _of_checkpoint(self, name: str) -> tuple[Any, Any, dict[str, Any], int]:
        from aigc.inference.parts.checkpoint import load_task

        task, data, step = load_task(self.run, name)
        self._check_merged(task.model)
        self.notes = getattr(data, "model_notes", {})
        return task.merged_model().eval(), data.tokenizer, data.state_dict(), step

    def _hand_on(self, data: Any, folder: Path) -> str:
        """Write the notes of data beside an adapter, and return what its card says of them."""
        self.notes = getattr(data, "model_notes", {})
        self._write_notes(folder)
        return self._prompt_usage(data.tokenizer)

    def _write_notes(self, folder: Path) -> None:
        """Write what this program needs to use the model in a folder as that of the run."""
        from aigc.runs.folder import write_model_notes

        # Those who load it have no class of a person's own.
        ours = next(one for one in type(self).__mro__ if one.__module__.startswith("aigc."))
        write_model_notes(folder, {**self._handed_on(), "saved_model": f"{ours.__module__}.{ours.__qualname__}"})

    def _handed_on(self) -> dict[str, Any]:
        """Return what is said of the model in an export."""
        return self.notes

    def _prompt_usage(self, tokenizer: Any) -> str:
        """Return what prompts need that the tokenizer does not add, in Markdown."""
        return ""

    def _complete(self, model: Any, tokenizer: Any) -> None:
        """Set what other tools need to know before they use the model as this one does."""

    def _usage(self, model: Any, tokenizer: Any) -> str:
        """Return how the exported model is loaded, in Markdown."""
        from aigc.inference.parts.card_usage import usage

        return usage(type(model).__name__)

    def _write_card(self, model: Any, tokenizer: Any, folder: Path, step: int | None) -> None:
        from aigc.inference.parts.model_card import Described, write_card

        usage = self._usage(model, tokenizer)
        write_card(
            self.run, Described(type(model).__name__, model.num_parameters(), usage, self.pipeline, step), folder
        )

"""Small real parts: a corpus on disk, its data module, a tiny model, a task and a trainer."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer

from aigc.callbacks.checkpoint_io import AtomicCheckpointIO
from aigc.data.text.data import TextData
from aigc.data.text.tokenizer import TokenizerSettings
from aigc.models import TransformersCausalLM
from aigc.runs.files import write_atomic
from aigc.tasks import CausalLM

SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 16, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "llama": {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "hidden_size": 16,
        "intermediate_size": 32,
    },
    "qwen3": {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "hidden_size": 16,
        "intermediate_size": 32,
        "head_dim": 8,
    },
}


def text_data(folder: Path, texts: list[str], **settings: Any) -> TextData:
    """A prepared data module over these texts; a quarter is held out."""
    path = folder / "corpus.txt"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "\n".join(texts) + "\n")  # two ranks may do this at once
    chosen = {"sequence_length": 32, "batch_size": 1, "validation_fraction": 0.25} | settings
    tokenizer = TokenizerSettings(kind="character", min_frequency=1)
    data = TextData(str(path), tokenizer=tokenizer, cache=str(folder / "cache"), **chosen)
    data.prepare_data()
    return data


def tiny_model(data: TextData, architecture: str = "gpt2") -> Any:
    """A tiny model with random but fixed weights."""
    torch.manual_seed(0)
    return TransformersCausalLM(architecture=architecture, settings=SETTINGS[architecture]).create(data)


def sgd_task(model: Any, lr: float = 0.1) -> CausalLM:
    """A task whose step shows the gradient itself."""
    return CausalLM(model, partial(torch.optim.SGD, lr=lr))


def trainer(folder: Path, **settings: Any) -> Trainer:
    """A quiet trainer on the CPU."""
    chosen: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": -1,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "plugins": [AtomicCheckpointIO()],
        "default_root_dir": folder,
    }
    return Trainer(**(chosen | settings))

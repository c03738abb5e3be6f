"""Adapters of PEFT on tiny pretrained models, which several files of tests share."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.helpers import SETTINGS, text_data, trainer
from tests.training.resumable import CHARACTERS

ROW = 8
HERE = "aigc.models.adapters."
LORA = {"_target_": f"{HERE}LoRA", "rank": 2}
LAYERS = {
    "lora": LORA | {"dropout": 0.1},
    "rslora": LORA | {"use_rslora": True, "target_modules": ["q_proj", "embed_tokens"]},
    "dora": LORA | {"use_dora": True},
    "pissa": LORA | {"init": "pissa"},
    "pissa_niter": LORA | {"init": "pissa_niter_4", "use_rslora": True},
    "head": LORA | {"modules_to_save": ["lm_head"]},
    "ia3": {"_target_": f"{HERE}IA3"},
    "vera": {"_target_": f"{HERE}VeRA", "rank": 4},
}
VIRTUAL = {
    "prompt": {"_target_": f"{HERE}PromptTuning", "num_virtual_tokens": 3},
    "prefix": {"_target_": f"{HERE}PrefixTuning", "num_virtual_tokens": 3},
    "projected": {"_target_": f"{HERE}PrefixTuning", "num_virtual_tokens": 3, "projection": True},
}


def lines(folder: Path, **settings: Any) -> Any:
    """Short texts, one a row."""
    texts = [CHARACTERS[i : i + 5 + i % 4] for i in range(32)]
    return text_data(folder, texts, **({"sequence_length": ROW, "packing": False, "batch_size": 3} | settings))


def save_bases(place: Path) -> Path:
    """Save pretrained weights by architecture, with room for virtual tokens."""
    for name in ("llama", "gpt2"):
        torch.manual_seed(0)
        settings = SETTINGS[name] | {"max_position_embeddings": 2 * ROW}
        TransformersCausalLM(architecture=name, settings=settings).create(lines(place)).save_pretrained(place / name)
    return place


def adapted(base: Path, node: dict[str, Any], data: Any, lr: float = 3e-2) -> CausalLM:
    """A task that trains an adapter."""
    torch.manual_seed(0)
    model = TransformersCausalLM(path=str(base), adapter=node).create(data)
    return CausalLM(model, partial(torch.optim.AdamW, lr=lr))


def trainings(bases: Path, place: Path) -> Callable[..., tuple[CausalLM, Any, torch.Tensor]]:
    """Return a function that trains a kind of adapter once, and returns its task, its data and some ids."""
    data, made = lines(place / "data"), {}

    def make(name: str, architecture: str = "llama") -> tuple[CausalLM, Any, torch.Tensor]:
        if (name, architecture) not in made:
            task = adapted(bases / architecture, (LAYERS | VIRTUAL)[name], data)
            trainer(place / name, max_steps=6, limit_val_batches=0).fit(task, datamodule=data)
            made[name, architecture] = task.eval()
        return made[name, architecture], data, data.example_rows(2)["input_ids"]

    return make


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """The logits of the tokens themselves; PEFT's models return those of virtual tokens as well."""
    with torch.no_grad():
        found: torch.Tensor = model.eval()(ids, attention_mask=torch.ones_like(ids)).logits[:, -ids.shape[1] :]
    return found


def gradients(task: CausalLM, data: Any) -> dict[str, torch.Tensor]:
    """Gradients of the first batch by name."""
    task.train()
    task.loss(next(iter(data.train_dataloader()))).backward()
    found = {name: weight.grad.clone() for name, weight in task.named_parameters() if weight.grad is not None}
    task.zero_grad()
    return found

"""Tasks of other kinds of language models, written as a user would: each a few lines, and no edit in aigc."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

from aigc.data.loader import training_loader, worker_settings
from aigc.data.random_streams import generator
from aigc.data.text.packing import IGNORE
from aigc.distributed.collectives import all_sum
from aigc.optim.schedules import WarmupCosine
from aigc.tasks import LanguageTask, TokenTask

VOCABULARY, LENGTH, CLASSES = 20, 12, 3
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


class MaskedLM(TokenTask):
    """Predicts the tokens that are hidden from it."""

    def forward(self, batch: dict[str, Any]) -> Tensor:
        logits: Tensor = self.run_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits


class Seq2SeqLM(TokenTask):
    """Predicts each token of a text from the ones before it and from another text."""

    def forward(self, batch: dict[str, Any]) -> Tensor:
        before = self.model.prepare_decoder_input_ids_from_labels(batch["labels"])
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        logits: Tensor = self.run_model(**inputs, decoder_input_ids=before).logits
        return logits


class Classifier(LanguageTask):
    """Predicts the class of a text; validation reports the share of right answers, too."""

    unit = "texts"
    monitor = ("val/accuracy", "max")

    def forward(self, batch: dict[str, Any]) -> Tensor:
        logits: Tensor = self.run_model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits

    def loss(self, batch: dict[str, Any]) -> Tensor:
        return F.cross_entropy(self(batch).float(), batch["classes"], reduction="sum")

    def targets(self, batch: dict[str, Any]) -> int:
        return int((batch["classes"] >= 0).sum())

    def on_validation_epoch_start(self) -> None:
        super().on_validation_epoch_start()
        self._right = torch.zeros(2, dtype=torch.int64, device=self.device)

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        super().validation_step(batch, batch_index)
        right = self(batch).argmax(-1) == batch["classes"]
        self._right += torch.stack([right.sum(), (batch["classes"] >= 0).sum()])

    def validation_scores(self) -> Any:
        scores, signatures = super().validation_scores()
        right, texts = all_sum(self._right).tolist()
        return {**scores, "accuracy": right / texts}, signatures


class Preference(LanguageTask):
    """Learns which of two texts is preferred, against a frozen reference (Rafailov et al., 2023)."""

    unit = "pairs"

    def __init__(self, model: Any, optimizer: Any, scheduler: Any = None, beta: float = 0.5) -> None:
        super().__init__(model, optimizer, scheduler)
        self.beta = beta
        self.reference = deepcopy(model).requires_grad_(False)

    def loss(self, batch: dict[str, Any]) -> Tensor:
        chosen, rejected = self._margins(batch["chosen"]), self._margins(batch["rejected"])
        return -F.logsigmoid(self.beta * (chosen - rejected)).sum()

    def targets(self, batch: dict[str, Any]) -> int:
        return len(batch["chosen"])

    def _margins(self, ids: Tensor) -> Tensor:
        """How much likelier each text is to the model than to the reference, (n,)."""
        with torch.no_grad():
            reference = _likelihood(self.reference(input_ids=ids).logits, ids)
        return _likelihood(self.run_model(input_ids=ids).logits, ids) - reference


def _likelihood(logits: Tensor, ids: Tensor) -> Tensor:
    return logits[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).sum((1, 2))


class Texts(Dataset[dict[str, Any]]):
    """Random texts of different lengths, whose class is in their first tokens; what is hidden changes each epoch."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, epoch_and_index: tuple[int, int]) -> dict[str, Any]:
        epoch, index = epoch_and_index
        draw = generator(3, index)
        length = 4 + index % 7
        ids = torch.zeros(LENGTH, dtype=torch.int64)
        ids[:length] = torch.from_numpy(draw.integers(2, VOCABULARY, length))
        ids[:2] = 2 + index % CLASSES
        hidden = torch.zeros(LENGTH, dtype=torch.bool)
        hidden[:length] = torch.from_numpy(generator(4, epoch, index).random(length) < 0.4)
        hidden[0] = True
        return {
            "input_ids": ids.masked_fill(hidden, 1),
            "labels": ids.masked_fill(~hidden, IGNORE),
            "attention_mask": (ids > 0).long(),
            "classes": index % CLASSES,
            "chosen": ids,
            "rejected": ids.flip(0),
        }


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A batch with the number of its targets."""
    batch = {
        name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in rows[0] if name != "target_tokens"
    }
    return {**batch, "target_tokens": int((batch["labels"] != IGNORE).sum())}


class TextRows(LightningDataModule):
    """Twenty-four texts; the first six are validated, too."""

    def __init__(self, batch_size: int = 2) -> None:
        super().__init__()
        self.batch_size = batch_size

    def train_dataloader(self) -> Any:
        return training_loader(Texts(), self.batch_size, seed=3, tell_epoch=True, collate=collate)

    def val_dataloader(self) -> Any:
        return DataLoader(Texts(), 2, sampler=[(0, i) for i in range(6)], collate_fn=collate, **worker_settings(0, 0))  # type: ignore[arg-type]


def network(kind: type, dropout: float = 0.1) -> Any:
    """A network of Transformers with random weights."""
    if kind is GPT2LMHeadModel:
        drop = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)  # the reference must stay the same
        return kind(GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_layer=1, n_head=2, n_embd=16, **drop))
    drop = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), dropout)
    return kind(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=LENGTH, num_labels=CLASSES, **SIZES, **drop))


KINDS: dict[str, tuple[type[LanguageTask], type]] = {
    "masked_lm": (MaskedLM, BertForMaskedLM),
    "classifier": (Classifier, BertForSequenceClassification),
    "preference": (Preference, GPT2LMHeadModel),
}


def make(kind: str, folder: Path, workers: int) -> tuple[LightningDataModule, LanguageTask]:
    """Data and task of a kind."""
    task, network_class = KINDS[kind]
    optimizer = partial(torch.optim.AdamW, lr=1e-2)
    return TextRows(), task(network(network_class), optimizer, partial(WarmupCosine, warmup_steps=3))

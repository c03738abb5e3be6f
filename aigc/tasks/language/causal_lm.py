"""Next-token prediction over packed documents, normalised by the target tokens of the whole optimiser step."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel

from aigc.config.types import Bound
from aigc.data.text.packing import IGNORE
from aigc.metrics.text.perplexity import Perplexity, likelihood_scores
from aigc.tasks.base import Task


class CausalLM(Task):
    """Trains a causal language model; reports perplexity per target token and bits per byte.

    Args:
        model: The network, from `model:`.
        optimizer: Makes the optimiser from parameter groups, from `optimizer:`.
        scheduler: Makes the schedule from the optimiser and the number of steps, from `scheduler:`.
        embedding_lr_ratio: Learning rate of the token embeddings relative to that of everything else.
        decay_vectors: Apply weight decay to biases and normalisation weights as well.
    """

    unit = "tokens"
    saved_model = "aigc.inference.causal_lm.SavedCausalLM"

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        embedding_lr_ratio: Annotated[float, Bound(0)] = 1.0,
        decay_vectors: bool = False,
    ):
        super().__init__()
        self.model = model
        self.embedding_lr_ratio = embedding_lr_ratio
        self.decay_vectors = decay_vectors
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._step_tokens: list[float] = []
        self._logged_nll: Tensor | float = 0.0
        self._logged_tokens = 0.0
        self._perplexity = Perplexity(ignore_index=IGNORE)

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Logits of a packed batch, (rows, length, vocabulary); documents of one row do not see each other."""
        segments = batch["segment_ids"]
        length = segments.shape[1]
        same = segments[:, :, None] == segments[:, None, :]
        causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
        # Position ids alone isolate only without mask and cache; an explicit mask does everywhere (transformers#46634).
        output = self.model(
            input_ids=batch["input_ids"],
            position_ids=batch["position_ids"],
            attention_mask=(same & causal)[:, None],
            use_cache=False,
        )
        logits: Tensor = output.logits
        return logits

    def token_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What training minimises for each token; override it for a loss of your own. Arguments as `next_token_nll`."""
        return next_token_nll(logits, labels)

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """The summed loss over this batch, scaled so that the whole step is normalised by all its target tokens."""
        nll = self.token_losses(self(batch), batch["labels"]).sum()
        self.check_finite(nll)
        tokens = self.over_ranks(batch["target_tokens"])
        self._step_tokens.append(tokens)
        self._logged_nll = self._logged_nll + nll.detach()
        self._logged_tokens += tokens
        # Lightning divides by the number of batches. How many tokens the others have is not known yet: see below.
        batches = self.trainer.accumulate_grad_batches * self.trainer.world_size  # gradients are averaged over both
        scaled: Tensor = nll * (batches / self._step_tokens[0])
        return scaled

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Correct the gradient to one mean over all target tokens of the step, before clipping sees it."""
        first, total = self._step_tokens[0], sum(self._step_tokens)
        self._step_tokens.clear()
        if total != first:
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            torch._foreach_mul_(gradients, first / total)

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Any], batch_index: int) -> None:
        """Record the token-weighted mean loss since the last record."""
        if self.at_logged_step():
            self.raise_if_non_finite()
            loss = self.over_ranks(self._logged_nll) / self._logged_tokens
            rate = self.trainer.optimizers[0].param_groups[-1]["lr"]
            values = {"train/loss": loss, "train/learning_rate": rate}
            if self.gradient_norm is not None:
                values["train/gradient_norm"] = float(self.gradient_norm)
            self.record(values)
            self._logged_nll, self._logged_tokens = 0.0, 0

    def on_validation_epoch_start(self) -> None:
        """Start the sums anew."""
        self._perplexity.reset()

    def validation_step(self, batch: dict[str, Any], batch_index: int) -> None:
        """Add one batch to the sums."""
        self._perplexity.update(*shifted(self(batch), batch["labels"]))

    def validation_is_finite(self) -> bool:
        """Whether the sums are."""
        return self._perplexity.finite

    def on_validation_epoch_end(self) -> None:
        """Record perplexity per token and per character, and bits per byte."""
        whole = self.trainer.datamodule.info["validation"]
        counted = self._perplexity.details()
        # One for a whole validation; a limited one stands for its share of the text.
        share = counted["tokens"] / whole["target_tokens"]
        scores = likelihood_scores(
            counted["nll"], counted["tokens"], whole["characters"] * share, whole["bytes"] * share
        )
        values = {f"val/{name}": value for name, value in scores.items()}
        self.record(values, dict.fromkeys(values, self._perplexity.signature))

    def configure_optimizers(self) -> dict[str, Any]:
        """Weight decay on matrices, a rate of its own for token embeddings; the schedule moves every optimiser step."""
        embeddings = {id(layer.weight) for layer in _embedding_layers(self.model)}
        groups: dict[str, list[Parameter]] = {"embeddings": [], "matrices": [], "vectors": []}
        for parameter in self.parameters():
            if parameter.requires_grad:
                kind = "vectors" if parameter.ndim < 2 else "matrices"
                groups["embeddings" if id(parameter) in embeddings else kind].append(parameter)
        chosen = [{"name": name, "params": params} for name, params in groups.items() if params]
        optimizer = self._make_optimizer(params=chosen)
        for group in optimizer.param_groups:
            if group["name"] == "embeddings":
                group["lr"] *= self.embedding_lr_ratio
            elif group["name"] == "vectors" and not self.decay_vectors:
                group["weight_decay"] = 0.0
        if self._make_scheduler is None:
            return {"optimizer": optimizer}
        scheduler = self._make_scheduler(optimizer=optimizer, total_steps=self.trainer.max_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def training_state(self) -> dict[str, Any]:
        """The loss since the last record, too."""
        logged = {"nll": float(self._logged_nll), "tokens": self._logged_tokens}
        return super().training_state() | {"logged": logged}

    def load_training_state(self, state: dict[str, Any]) -> None:
        """Take it back."""
        super().load_training_state(state)
        self._logged_nll, self._logged_tokens = state["logged"]["nll"], state["logged"]["tokens"]

    def forget_sums(self) -> None:
        """The loss is then recorded of what comes after."""
        self._logged_nll, self._logged_tokens = 0.0, 0.0

    def amount(self, batch: dict[str, Any]) -> int:
        """Target tokens."""
        return int(batch["target_tokens"])

    def save_model(self, folder: Path) -> None:
        """Write safetensors and configuration in Transformers' layout."""
        self.model.save_pretrained(folder, safe_serialization=True)


def _embedding_layers(model: PreTrainedModel) -> list[nn.Module]:
    """The token embeddings, and the output layer where it is not the same matrix."""
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    return [layer for layer in layers if layer is not None]


def shifted(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Each prediction beside the label it predicts, the next one; the only place where labels are shifted.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64, not shifted; IGNORE where nothing is learned.

    Returns:
        Logits and labels of (rows, length - 1) positions.
    """
    return logits[:, :-1], labels[:, 1:]


def next_token_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Negative log likelihood of each label given the tokens before it.

    Args:
        logits: (rows, length, vocabulary), any float dtype.
        labels: (rows, length) int64, not shifted; IGNORE where nothing is learned.

    Returns:
        (rows * (length - 1),) float32, in nats; 0 where the label is IGNORE.
    """
    logits, labels = shifted(logits, labels)
    scores = logits.reshape(-1, logits.shape[-1]).float()
    return F.cross_entropy(scores, labels.reshape(-1), ignore_index=IGNORE, reduction="none")

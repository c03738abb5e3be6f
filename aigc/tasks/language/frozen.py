"""The part of a network that is not trained and is read again from elsewhere, so that no checkpoint holds it."""

from collections.abc import Sequence

from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.models.adapters.base import adapter_of, base_digest_of
from aigc.models.weights import digest_of
from aigc.optim.groups import freeze
from aigc.printing import plural


class FrozenPart:
    """What checkpoints leave out of a network: all but its adapter, or pretrained weights that are frozen.

    Args:
        model: The network, whose weights are frozen in place.
        patterns: The names of `task.freeze`, as of `aigc.optim.groups.freeze`.

    Attributes:
        names: Names in `model.state_dict()` that checkpoints leave out.
        digest: Of the weights that are read again; None where all are in checkpoints.
    """

    def __init__(self, model: PreTrainedModel, patterns: Sequence[str]) -> None:
        adapter, every = adapter_of(model), model.state_dict(keep_vars=True)
        self.names: set[str] = set()
        self.digest: str | None = base_digest_of(model)
        if adapter is not None:  # what it trains at first stays in checkpoints, even if it is frozen
            self.names = every.keys() - adapter.saved(model)
        freeze(model, patterns, "task.freeze")
        _check_added(model)
        if adapter is None and patterns and model.name_or_path:  # random weights come from nowhere else
            frozen = {id(weight) for weight in model.parameters() if not weight.requires_grad}
            self.names = {name for name, weight in every.items() if id(weight) in frozen}
            self.digest = digest_of(model, self.names)


def _check_added(model: PreTrainedModel) -> None:
    added = getattr(model, "aigc_added_tokens", ())
    if added and adapter_of(model) is None and not model.get_input_embeddings().weight.requires_grad:
        what = f"the embeddings have rows of {plural(len(added), 'added token')}, which would stay as they begin"
        raise ConfigError([Problem("task.freeze", f"{what}; leave the embeddings out")])

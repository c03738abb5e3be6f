"""Whether a language model, its adapter and its data fit each other, and what the model is told of the data."""

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from aigc.config.problems import ConfigError, Problem
from aigc.models.adapters.base import Adapter
from aigc.models.context import KEY, VIRTUAL, context_length, packing_problem, too_long
from aigc.models.isolation import find_isolation
from aigc.printing import plural


def check_rows(config: Any, data: Any) -> None:
    """Check that the rows of the data are not longer than the model can see, and may be packed.

    Raises:
        ConfigError: They are longer, or may not.
    """
    context, length = context_length(config), getattr(data, "sequence_length", None)
    if context is not None and length is not None and length > context:
        raise ConfigError([Problem(KEY, too_long(length, context))])
    # Whether rows are packed may be known only after the corpus was looked into.
    if getattr(config, VIRTUAL, 0) and (what := packing_problem(config, getattr(data, "packs", False))):
        raise ConfigError([Problem("data.packing", what)])


def check_virtual(config: Any) -> None:
    """Check that a network that is trained does not begin with the virtual tokens of an adapter.

    Raises:
        ConfigError: It does.
    """
    if getattr(config, VIRTUAL, 0):
        number = plural(getattr(config, VIRTUAL), "virtual token")
        what = f"its {number} belong to frozen weights; give the path of the base model, and train its adapter anew"
        raise ConfigError([Problem("model.path", what)])


def isolate_documents(model: PreTrainedModel, data: Any) -> None:
    """Find out how the documents of a row are kept apart in a network, which remembers it.

    Raises:
        ConfigError: They cannot be, and the rows of the data hold several.
    """
    if hasattr(model.config, VIRTUAL):  # rows with virtual tokens hold one document
        return
    isolation = find_isolation(model)
    if isolation is None:
        _refuse_packing(model, data)
    model.aigc_isolation = isolation


def check_state(model: PreTrainedModel, data: Any) -> None:
    """Check that a network that carries a state along a row, as Mamba does, gets rows of one document.

    `isolate_documents` tries every network; this finds the most usual ones before the data are prepared.

    Raises:
        ConfigError: The rows hold several.
    """
    if getattr(model, "_is_stateful", False):
        _refuse_packing(model, data)


def _refuse_packing(model: PreTrainedModel, data: Any) -> None:
    if getattr(data, "packs", False):
        what = f"{type(model).__name__} carries one document of a row into the next, whatever its mask; set it to false"
        raise ConfigError([Problem("data.packing", what)])


def check_adapter(adapter: Adapter, model: PreTrainedModel, data: Any, quantised: str | None) -> None:
    """Check that an adapter fits a network, the data, and the type of the frozen weights.

    Raises:
        ConfigError: It does not.
    """
    adapter.check(model, data)
    if quantised and (what := adapter.quantised_problem(quantised)):
        raise ConfigError([Problem("model.quantised", what)])


def check_added(adapter: Adapter, added: Sequence[int]) -> None:
    """Check that an adapter trains the rows of added tokens.

    Raises:
        ConfigError: It leaves them as they begin.
    """
    if added and not adapter.trains_added_tokens:
        what = (
            f"{type(adapter).__name__} does not train the rows of {plural(len(added), 'added token')}; take LoRA, or "
            "the tokenizer of the model as it is"
        )
        raise ConfigError([Problem("model.adapter", what)])

"""Generation of texts from prompts: batched, padded on the left, without special or unknown tokens in the output."""

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    StoppingCriteria,
    StoppingCriteriaList,
)

from aigc.data.text.prompts import Prompt, text_prompts
from aigc.distributed.collectives import world_size
from aigc.errors import InputError
from aigc.generation.configuration import configuration
from aigc.generation.decoding import decode, decode_until
from aigc.generation.random_state import fixed_random_state
from aigc.generation.sampling import Sampling
from aigc.generation.streaming import TextStream
from aigc.models.attention import attention_for_generation
from aigc.models.context import context_length
from aigc.models.end_tokens import end_tokens
from aigc.printing import plural
from aigc.runs import stop


def continues_texts(model: Any) -> bool:
    """Return whether a model writes on after the tokens that it is given, as `generate_texts` needs."""
    return isinstance(model, PreTrainedModel) and model.can_generate() and not model.config.is_encoder_decoder


def generate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str | Prompt],
    sampling: Sampling,
    shorten: bool = False,
    show: Callable[[str], None] | None = None,
) -> list[list[str]]:
    """Generate `sampling.num_samples` continuations of each prompt, without the prompt itself.

    The random state of training is restored. The tokenizer's own padding settings are ignored.

    Args:
        model: A causal language model; its mode is restored.
        tokenizer: Its tokenizer.
        prompts: Any texts, which are made prompts by `text_prompts`, or prompts that have their ids.
        sampling: The sampling controls.
        shorten: Cut off the beginning of a prompt that is too long for the model's context, instead of raising.
        show: Called with each piece of the text as soon as its characters are certain; for one text of one prompt,
            without beams.

    Raises:
        InputError: A prompt leaves no room in the model's context, or several texts are asked for at temperature 0.
        InterruptedRun: A person asked to stop.
        PreemptedRun: The machine asked to stop.
    """
    if sampling.temperature == 0 and sampling.num_samples > sampling.num_beams:
        raise InputError("temperature=0 always gives the same text; for several, raise temperature or num_beams")
    whole = [one if isinstance(one, Prompt) else text_prompts(tokenizer, [one])[0] for one in prompts]
    encoded = [list(prompt.ids) for prompt in whole]
    context = context_length(model.config)
    if context is not None:
        wanted = min(sampling.max_new_tokens or 1, context - 1)
        if shorten:
            encoded = [prompt.shortened(context - wanted) for prompt in whole]
        _check_length(encoded, [prompt.text for prompt in whole], context)
    texts: list[list[str]] = [[] for _ in whole]
    settings = configuration(model, tokenizer, sampling, None)  # once: a chat template is tried for it
    training = model.training
    model.eval()
    try:
        random = fixed_random_state(model.device, sampling.seed)
        with random, attention_for_generation(model), torch.inference_mode():
            for chosen in _batches([len(ids) for ids in encoded], sampling, context):
                batch = [encoded[i] for i in chosen]
                outputs = _generate_batch(model, tokenizer, batch, sampling, settings, context, show)
                if _may_stop():
                    stop.check()
                for position, index in enumerate(chosen):
                    texts[index] = outputs[position * sampling.num_samples : (position + 1) * sampling.num_samples]
    finally:
        model.train(training)
    return texts


def _batches(lengths: list[int], sampling: Sampling, context: int | None) -> Iterator[list[int]]:
    """Yield indices by falling length; a longer prompt in the batch never reduces the room of a shorter one."""
    most = max(1, sampling.batch_size // sampling.num_samples)
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        longest = lengths[batch[0]] if batch else lengths[index]
        room = None if context is None else context - longest
        binding = room is not None and (sampling.max_new_tokens is None or sampling.max_new_tokens > room)
        if batch and (len(batch) == most or (binding and lengths[index] < longest)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[list[int]],
    sampling: Sampling,
    settings: GenerationConfig,
    context: int | None,
    show: Callable[[str], None] | None,
) -> list[str]:
    width = max(map(len, prompts))
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    ids = torch.tensor([[padding] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    limits = [n for n in (sampling.max_new_tokens, context - width if context is not None else None) if n is not None]
    settings = copy(settings)
    settings.max_new_tokens = min(limits, default=256)
    ends = set(end_tokens(model, tokenizer))
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=settings,
        streamer=TextStream(tokenizer, ends, sampling.stops, show) if show else None,
        stopping_criteria=StoppingCriteriaList([_WhenAsked(), *_at_texts(tokenizer, sampling.stops, width)]),
    )
    return [decode_until(tokenizer, row[width:].tolist(), ends, sampling.stops) for row in output]


class _WhenAsked(StoppingCriteria):
    """Ends every text when the process is asked to stop, as a long one can take minutes."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full(
            (len(input_ids),), _may_stop() and stop.asked() is not None, dtype=torch.bool, device=input_ids.device
        )


class _AtTexts(StoppingCriteria):
    """Ends a text in which one of some texts has been written, whichever tokens it consists of."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, stops: Sequence[str], begin: int) -> None:
        self.tokenizer, self.stops, self.begin = tokenizer, stops, begin
        # A token is at least a byte; a few more, as the first of a text may be decoded in another way.
        self.last = max(len(text.encode()) for text in stops) + 4

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        tails = input_ids[:, max(self.begin, input_ids.shape[1] - self.last) :].tolist()
        texts = [decode(self.tokenizer, tail) for tail in tails]
        found = [any(stop_text in text for stop_text in self.stops) for text in texts]
        return torch.tensor(found, dtype=torch.bool, device=input_ids.device)


def _at_texts(tokenizer: PreTrainedTokenizerFast, stops: Sequence[str], begin: int) -> list[StoppingCriteria]:
    return [_AtTexts(tokenizer, stops, begin)] if stops else []


def _check_length(encoded: list[list[int]], prompts: Sequence[str], context: int) -> None:
    for ids, prompt in zip(encoded, prompts, strict=True):
        if len(ids) >= context:
            shown = prompt if len(prompt) <= 20 else prompt[:20] + "..."
            raise InputError(
                f"prompt {shown!r} has {plural(len(ids), 'token')} with its start mark; the model's context is "
                f"{context},"
                " of which at least one is needed for the output: shorten the prompt"
            )


def _may_stop() -> bool:
    """Whether this process may stop alone: several ranks agree between two steps instead."""
    return world_size() == 1

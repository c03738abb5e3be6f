"""From prompts to texts: batched, padded on the left, without special or unknown tokens in the output."""

from collections.abc import Callable, Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from aigc.data.tokenizer import encode, suppressed_tokens
from aigc.errors import InputError
from aigc.evaluation.sampling import Sampling
from aigc.models.language import context_length


def generate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    sampling: Sampling,
    tick: Callable[[], None] = lambda: None,
) -> list[list[str]]:
    """Texts that continue each prompt, `sampling.num_samples` of each, the prompt itself not included.

    The random state of training is left as it was. The tokenizer's own padding settings do not matter.

    Args:
        model: A causal language model; its mode is put back.
        tokenizer: Its tokenizer.
        prompts: Any texts; an empty one starts a document.
        sampling: How to draw.
        tick: Called before each batch; may raise to stop.

    Raises:
        InputError: A prompt that leaves no room in the model's context.
    """
    start = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else [tokenizer.eos_token_id]
    encoded = [start + ids for ids in encode(tokenizer, list(prompts))]
    room = _room(model, encoded, prompts)
    order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
    per_batch = max(1, sampling.batch_size // sampling.num_samples)
    texts: list[list[str]] = [[] for _ in prompts]
    training = model.training
    model.eval()
    devices = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(sampling.seed)
            for first in range(0, len(order), per_batch):
                tick()
                chosen = order[first : first + per_batch]
                outputs = _generate_batch(model, tokenizer, [encoded[i] for i in chosen], sampling, room)
                for place, index in enumerate(chosen):
                    texts[index] = outputs[place * sampling.num_samples : (place + 1) * sampling.num_samples]
    finally:
        model.train(training)
    return texts


def _generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[list[int]],
    sampling: Sampling,
    room: int | None,
) -> list[str]:
    width = max(map(len, prompts))
    ids = torch.tensor([[tokenizer.eos_token_id] * (width - len(p)) + p for p in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
    limits = [n for n in (sampling.max_new_tokens, room - width if room is not None else None) if n is not None]
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=_configuration(model, tokenizer, sampling, min(limits, default=256)),
    )
    return [_text(tokenizer, row[width:].tolist()) for row in output]


def _configuration(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, sampling: Sampling, max_new_tokens: int
) -> GenerationConfig:
    rows = model.get_output_embeddings().weight.shape[0]
    never = sorted({*suppressed_tokens(tokenizer), *range(len(tokenizer), rows)})
    drawn = sampling.num_beams == 1 and sampling.temperature > 0
    return GenerationConfig(
        do_sample=drawn,
        temperature=sampling.temperature if drawn else None,
        top_k=(sampling.top_k or 0) if drawn else None,
        top_p=sampling.top_p if drawn else None,
        repetition_penalty=sampling.repetition_penalty,
        num_beams=max(sampling.num_beams, 1 if drawn else sampling.num_samples),
        num_return_sequences=sampling.num_samples,
        max_new_tokens=max_new_tokens,
        suppress_tokens=never or None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )


def _text(tokenizer: PreTrainedTokenizerFast, ids: list[int]) -> str:
    if tokenizer.eos_token_id in ids:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    return str(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _room(model: PreTrainedModel, encoded: list[list[int]], prompts: Sequence[str]) -> int | None:
    room = context_length(model)
    for ids, prompt in zip(encoded, prompts, strict=True):
        if room is not None and len(ids) >= room:
            shown = prompt if len(prompt) <= 20 else prompt[:20] + "..."
            raise InputError(
                f"prompt {shown!r} has {len(ids)} tokens with its start mark; the model's context is {room},"
                " of which one is needed to write: shorten the prompt"
            )
    return room

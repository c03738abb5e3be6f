"""Sampling settings in the words of Transformers."""

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from aigc.data.text.chat.template import ChatTemplate
from aigc.data.text.tokenizer import suppressed_tokens
from aigc.generation.sampling import Sampling
from aigc.models.end_tokens import end_tokens


def configuration(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, sampling: Sampling, max_new_tokens: int | None
) -> GenerationConfig:
    """Return what Transformers needs to generate: never special or unknown tokens, and no row without a token.

    The special tokens that a chat template writes inside of answers are learned, and may be written.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        sampling: The sampling controls.
        max_new_tokens: Largest number of new tokens; None leaves it open.
    """
    rows, ends = model.config.get_text_config().vocab_size, end_tokens(model, tokenizer)
    template = ChatTemplate.of(tokenizer)
    written = {*ends, *(template.answers.written_ids if template else ())}
    never = sorted({*suppressed_tokens(tokenizer), *range(len(tokenizer), rows)} - written)
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
        eos_token_id=ends,
        pad_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )

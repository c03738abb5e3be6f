"""A conversation with a language model: turns of a person and of the model, and how the model is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from aigc.errors import InputError
from aigc.generation.sampling import OneText, Sampling
from aigc.printing import plural

if TYPE_CHECKING:
    from aigc.data.text.prompts import Prompt
    from aigc.inference.parts.asked import Asking

Turn = dict[str, str]
_SHARE = 4
"""Without `max_new_tokens`, an answer has room for at least this part of the context: a quarter."""


@dataclass(frozen=True)
class ChatKeys(OneText):
    """What `aigc chat` takes: the sampling controls of an answer, and what the model is told first."""

    system: str | None = None
    """Turn to the model before the conversation; null has none, or that of the chat template."""
    chat: bool | None = None
    """Whether lines are messages, with the chat template, and not texts to continue; null as the run was trained."""


class Answer(NamedTuple):
    """What the model has written."""

    text: str
    left_out: int
    """How many of the oldest messages did not fit into the context."""
    whole: bool = True
    """Whether it was written to its end; if not, a person stopped it."""


class ChatSession:
    """The turns so far. For a model that was not trained on conversations, each line is a prompt that it continues.

    Args:
        model: A causal language model.
        asking: Makes prompts; as messages where its `chat` is true and the keys do not say otherwise.
    """

    def __init__(self, model: Any, asking: "Asking") -> None:
        self.model, self.asking, self.system = model, asking, asking.system
        self.messages: list[Turn] = []

    def answers(self, keys: ChatKeys) -> bool:
        """Return whether lines are messages that the model answers, and not texts that it continues."""
        return self.asking.chat if keys.chat is None else keys.chat

    def ask(self, text: str, keys: ChatKeys, show: Callable[[str], None], again: bool = False) -> Answer:
        """Add a message of the person and the model's answer to it.

        Args:
            text: The message.
            keys: The sampling controls.
            show: Called with each piece of the answer.
            again: Whether both take the place of the last message and its answer.

        Returns:
            The answer; one that is interrupted (KeyboardInterrupt) is kept as far as it was written, if it was at all.

        Raises:
            InputError: The message alone is too long, or the template refuses it; it is not added then.
        """
        asked: Turn = {"role": "user", "content": text}
        before = self.messages[:-2] if again else self.messages
        prompt, left_out = self._prompt([*before, asked], keys)
        written: list[str] = []

        def pass_on(piece: str) -> None:
            written.append(piece)
            show(piece)

        try:
            answer = Answer(self._generate(prompt, keys, pass_on), left_out)
        except KeyboardInterrupt:
            answer = Answer("".join(written), left_out, whole=False)
            if not answer.text:
                return answer
        self.messages = [*before, asked, {"role": "assistant", "content": answer.text}]
        return answer

    @property
    def last_asked(self) -> str | None:
        """The last message of the person; None where there is none."""
        return self.messages[-2]["content"] if self.messages else None

    def with_system(self, system: str | None) -> list[Turn]:
        """Return all messages, that of the system first."""
        return [*([{"role": "system", "content": system}] if system else []), *self.messages]

    def _generate(self, prompt: "Prompt", keys: ChatKeys, show: Callable[[str], None]) -> str:
        from aigc.generation.texts import generate_texts

        return generate_texts(self.model, self.asking.tokenizer, [prompt], _sampling(keys), show=show)[0][0]

    def _prompt(self, messages: Sequence[Turn], keys: ChatKeys) -> tuple["Prompt", int]:
        """Return the prompt, and how many of the oldest messages were left out so that an answer has room."""
        from aigc.data.text.chat.conversation import Message, with_system
        from aigc.models.context import context_length
        from aigc.models.end_tokens import add_end_tokens

        if not self.answers(keys):
            return replace(self.asking, chat=False).asked([{"prompt": messages[-1]["content"]}])[0].prompt, 0
        template = self.asking.template
        if template is None:
            raise InputError("the model has no chat template: chat=false continues each line")
        add_end_tokens(self.model, self.asking.tokenizer, template.end_ids)
        context = context_length(self.model.config)
        every = [Message(one["role"], one["content"]) for one in messages]
        for left_out in range(0, len(messages), 2):  # a question goes with its answer
            try:
                prompt = template.prompt(with_system(every[left_out:], keys.system))
            except ValueError as error:
                raise InputError(str(error)) from error
            if context is None or len(prompt.ids) <= context - _wanted(keys, context):
                return prompt, left_out
        raise InputError(
            f"this message has {plural(len(prompt.ids), 'token')} with what the template adds; the model's context is "
            f"{context}, of which {_wanted(keys, context or 0)} are kept for the answer: shorten it, or lower "
            "max_new_tokens"
        )


def _wanted(keys: ChatKeys, context: int) -> int:
    """Return how many tokens of the context are kept for an answer."""
    return min(keys.max_new_tokens or max(context // _SHARE, 1), context - 1)


def _sampling(keys: ChatKeys) -> Sampling:
    return Sampling(**{one.name: getattr(keys, one.name) for one in fields(OneText)})

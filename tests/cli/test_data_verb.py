"""`aigc data`: what a model will see, prepared as training prepares it, and nothing left behind."""

import json
import re

import pytest
from transformers import AutoTokenizer

from aigc.config import compose
from aigc.config.freeze import frozen_yaml
from aigc.launch.components import build_data
from aigc.runs import Run
from aigc.runs.folder import MODEL_CLASS_FILE
from tests.conftest import write
from tests.docs.inputs import save_tiny_model

SMALL = ["data.batch_size=2", "data.sequence_length=64", "trainer.num_threads=1", "logger=none"]
CHATS = ["data.path=chats.jsonl", *SMALL]


@pytest.fixture
def place(own_place, monkeypatch):
    """A folder with conversations and pairs, and a cache of its own."""
    monkeypatch.setenv("AIGC_CACHE", str(own_place / "cache"))
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    chats = [
        [{"role": "user", "content": f"問{n}\x1b[31m"}, {"role": "assistant", "content": f"答{n}👍"}] for n in range(40)
    ]
    write(own_place / "chats.jsonl", "".join(json.dumps({"messages": one}) + "\n" for one in chats))
    pairs = [{"prompt": f"Q{n} ", "completion": f"A{n}"} for n in range(40)]
    write(own_place / "pairs.jsonl", "".join(json.dumps(one) + "\n" for one in pairs))
    return own_place


@pytest.fixture
def shown(place, in_process):
    """Run `aigc data ... --json`, and return what it prints."""

    def run(*arguments):
        code, printed, error = in_process("data", *arguments, "--json")
        assert code == 0, error
        return json.loads(printed)

    return run


def learned(row):
    return "".join(piece["text"] for piece in row["sequences"]["input_ids"] if piece["learned"])


def test_answers_of_conversations_are_marked(shown, place):
    found = shown("experiment=lm/text", *CHATS, "--rows", "2")
    assert [learned(row) for row in found["rows"]] == ["答0👍<|end|>", "答1👍<|end|>"]
    assert found["rows"][0]["sequences"]["input_ids"][0]["labels"][0] is None
    assert (found["data"]["format"], found["data"]["chat_template"]) == ("messages", "plain")
    assert found["splits"]["train"]["examples"] == 36
    assert not (place / "outputs").exists()


def test_training_finds_the_prepared_data(shown, place):
    found = shown("lm/text", *CHATS, "--rows", "0")
    before = sorted((place / "cache").rglob("*"))
    data = build_data(compose(["experiment=lm/text", *CHATS]))
    assert sorted((place / "cache").rglob("*")) == before
    assert data.fingerprint == found["data"]["fingerprint"]
    assert found["rows"] == []


def test_the_name_of_an_experiment_is_enough(shown):
    assert shown("lm/text", *CHATS) == shown("experiment=lm/text", *CHATS) == shown("--rows", "3", "lm/text", *CHATS)


def test_documents_of_the_validation_part(shown):
    found = shown("lm/text", *CHATS, "--split", "validation", "--rows", "99")
    assert found["split"] == "validation"
    assert len(found["rows"]) == found["splits"]["validation"]["documents"] == 4


def test_each_token_with_its_id(shown, in_process):
    typed = ["lm/text", *CHATS, "data.tokenizer.kind=character", "--rows", "1", "--tokens"]
    pieces = shown(*typed)["rows"][0]["sequences"]["input_ids"]
    assert {len(piece["ids"]) for piece in pieces} == {1}
    answer = [f"{piece['text']}{{{piece['ids'][0]}}}" for piece in pieces if piece["learned"]]
    assert [one[0] for one in answer] == ["答", "0", "👍", "<"]
    assert f"⟦{''.join(answer)}⟧" in in_process("data", *typed)[1]


def test_without_a_terminal_learned_tokens_are_between_marks(place, in_process):
    printed = in_process("data", "lm/text", *CHATS, "--rows", "1")[1]
    assert "⟦答0👍<|end|>⟧" in printed
    assert "\x1b" not in printed  # neither a colour nor what stands in the data
    assert "問0\\x1b[31m\\n" in printed


def test_facts_stay_in_their_lines(place, in_process):
    system = "data.chat.system='a\nb\x1b[2J'"
    printed = in_process("data", "lm/text", *CHATS, system, "data.sequence_length=128", "--rows", "0")[1]
    (line,) = (line for line in printed.splitlines() if line.startswith("objective"))
    assert "system=a\\nb\\x1b[2J" in line


def test_on_a_terminal_they_are_coloured(place, in_process, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = in_process("data", "lm/text", *CHATS, "--rows", "1")[1]
    assert re.search("\x1b\\[32m答0👍\x1b", coloured)
    assert "⟦" not in coloured
    assert "\x1b[31m" not in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "⟦答0👍<|end|>⟧" in in_process("data", "lm/text", *CHATS, "--rows", "1")[1]


def test_images_are_described(shown):
    found = shown("gan/digits")
    assert found["data"]["resolution"] == 8
    assert found["data"]["classes"] == list("0123456789")
    assert found["splits"]["train"]["images"] > 1000
    assert found["rows"] == []


def test_data_of_lightning_alone_are_named(place, in_process):
    write(place / "mine.py", DATA)
    typed = ["lm/text", "~data", "+data._target_=mine.Mine", "evaluation=null", "--trust", "mine"]
    code, printed, error = in_process("data", *typed)
    assert code == 0, error
    assert "Mine" in printed
    assert "abc" in printed


DATA = """
from pytorch_lightning import LightningDataModule


class Mine(LightningDataModule):
    fingerprint = "abc"
"""


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["lm/text", *CHATS, "data.batch_size=500"], "data.batch_size"),
        (["lm/text", *CHATS, "--split", "nothing"], "train, validation"),
        (["lm/text", *CHATS, "data.chat.template=nothing.jinja"], "data.chat.template"),
        (["lm/text", "data.path=nothing.jsonl"], "data.path"),
        (["lm/nothing"], "lm/nothing"),
    ],
)
def test_what_cannot_be_shown_is_an_error_and_leaves_no_run(arguments, key, place, in_process):
    code, printed, error = in_process("data", *arguments)
    assert (code, printed) == (2, "")
    assert key in error
    assert not (place / "outputs").exists()


@pytest.mark.parametrize("wrong", ["data.batch_size=500", "data.chat.template=nothing.jinja", "data.text_column=x"])
def test_training_refuses_the_same_in_the_same_words(wrong, place, in_process):
    told = [
        in_process(verb, "experiment=lm/text", *CHATS, wrong, "trainer.accelerator=cpu")[::2]
        for verb in ("data", "train")
    ]
    assert [code for code, _ in told] == [2, 2]
    data, train = (
        error.partition(f"aigc {verb}: ")[2] for (_, error), verb in zip(told, ("data", "train"), strict=True)
    )
    assert data == train != ""


@pytest.fixture
def run(place):
    """A run on the conversations, with a model that has another tokenizer."""
    made = Run.create(place / "outputs/runs", "one", frozen_yaml(compose(["experiment=lm/text", *CHATS])))
    save_tiny_model(made.model)
    write(made.model / MODEL_CLASS_FILE, json.dumps({"saved_model": "aigc.inference.causal_lm.SavedCausalLM"}))
    return made


def test_a_run_shows_its_data_and_others_with_its_tokenizer(run, shown, place):
    own = shown("latest")
    assert [learned(row) for row in own["rows"]][:1] == ["答0👍<|end|>"]
    assert own == shown("lm/text", *CHATS)
    other = shown(run.id, "data.path=pairs.jsonl")
    assert other["data"]["tokenizer"] == str(run.model)
    assert other["data"]["vocabulary_size"] == len(AutoTokenizer.from_pretrained(run.model))
    assert other["data"]["vocabulary_size"] != own["data"]["vocabulary_size"]
    assert learned(other["rows"][0]) == "A0<|end|>"


def test_other_data_for_a_run_without_a_model_are_refused(place, in_process):
    Run.create(place / "outputs/runs", "one", frozen_yaml(compose(["experiment=lm/text", *CHATS])))
    code, _, error = in_process("data", "latest", "data.path=pairs.jsonl")
    assert code == 2
    assert "no model" in error

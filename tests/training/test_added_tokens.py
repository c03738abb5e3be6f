"""Tokens that are added to a tokenizer: their rows begin as the mean, are trained, and are saved."""

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from aigc.config.problems import ConfigError
from aigc.data.text.data import TextData
from aigc.data.text.tokenizer import TokenizerSettings, encode
from aigc.errors import InputError
from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.families import FAMILIES
from tests.training.helpers import text_data, trainer

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"]
WORDS = [f"<new>{text}<|ask|>" for text in TEXTS]
LORA = {"_target_": "aigc.models.adapters.LoRA", "rank": 2, "target_modules": ["q_proj"]}
IA3 = {"_target_": "aigc.models.adapters.IA3"}


@pytest.fixture(scope="module", params=["tied", "apart", "with unused rows"])
def weights(request, tmp_path_factory):
    """A folder of pretrained weights with their tokenizer."""
    place = tmp_path_factory.mktemp("weights")
    data = text_data(place, TEXTS)
    settings = FAMILIES["llama"] | {"tie_word_embeddings": request.param == "tied"}
    if request.param == "with unused rows":
        settings |= {"vocab_size": len(data.tokenizer) + 5}
    torch.manual_seed(0)
    TransformersCausalLM(architecture="llama", settings=settings).create(data).save_pretrained(place / "m")
    data.tokenizer.save_pretrained(place / "m")
    return place / "m"


def data_of(place, weights, texts=WORDS, **added):
    (place / "words.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    tokenizer = TokenizerSettings(kind="pretrained", path=str(weights), **added)
    settings = {"sequence_length": 32, "batch_size": 1, "validation_fraction": 0.25, "cache": str(place / "cache")}
    data = TextData(str(place / "words.txt"), tokenizer=tokenizer, **settings)
    data.prepare_data()
    return data


def rows_of(model):
    return [layer.weight.detach().clone() for layer in (model.get_input_embeddings(), model.get_output_embeddings())]


@pytest.mark.parametrize("adapter", [None, LORA], ids=["whole", "lora"])
def test_rows_of_added_tokens_begin_as_the_mean_are_trained_and_saved(adapter, weights, tmp_path):
    data = data_of(tmp_path, weights, add_tokens=["<new>"])
    (new,) = encode(data.tokenizer, ["<new>"])[0]
    known = AutoTokenizer.from_pretrained(weights)
    assert new == len(known)
    before = AutoModelForCausalLM.from_pretrained(weights)
    old = before.get_input_embeddings().num_embeddings
    model = TransformersCausalLM(path=str(weights), adapter=adapter).create(data)
    assert model.aigc_added_tokens == [new]
    assert model.config.vocab_size == max(old, new + 1)
    task = CausalLM(model, partial(torch.optim.SGD, lr=0.5))
    first = task.merged_model()
    for own, found in zip(rows_of(before), rows_of(first), strict=True):
        torch.testing.assert_close(found[new], own[: len(known)].mean(0), atol=1e-6, rtol=1e-5)
        assert torch.equal(found[: len(known)], own[: len(known)])
    begin = rows_of(first)
    trainer(tmp_path, max_steps=3, limit_val_batches=0).fit(task, datamodule=data)
    task.save_model(tmp_path / "model")
    data.save_beside_model(tmp_path / "model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert AutoTokenizer.from_pretrained(tmp_path / "model").convert_tokens_to_ids("<new>") == new
    for one, other in zip(begin, rows_of(loaded), strict=True):
        assert not torch.equal(one[new], other[new])
        assert adapter is None or torch.equal(one[:new], other[:new])  # the base stays frozen
    again = TransformersCausalLM(path=str(tmp_path / "model")).create(data_of(tmp_path, tmp_path / "model"))
    assert again.aigc_added_tokens == []
    ids = torch.tensor([encode(data.tokenizer, [WORDS[0]])[0]])
    torch.testing.assert_close(again.eval()(ids).logits, task.merged_model().eval()(ids).logits, atol=1e-5, rtol=1e-5)


def test_an_adapter_that_leaves_them_untrained_is_refused(weights, tmp_path):
    with pytest.raises(ConfigError, match=r"model\.adapter"):
        TransformersCausalLM(path=str(weights), adapter=IA3).create(data_of(tmp_path, weights, add_tokens=["<new>"]))
    TransformersCausalLM(path=str(weights), adapter=IA3).create(data_of(tmp_path, weights))


def test_a_checkpoint_of_an_adapter_holds_the_rows(weights, tmp_path):
    data = data_of(tmp_path, weights, add_tokens=["<new>"])
    made = []
    for steps in (3, 0):
        task = CausalLM(
            TransformersCausalLM(path=str(weights), adapter=LORA).create(data), partial(torch.optim.SGD, lr=0.5)
        )
        if steps:
            trainer(tmp_path, max_steps=steps, limit_val_batches=0).fit(task, datamodule=data)
        made.append(task)
    saved = {name: value for name, value in made[0].state_dict().items() if name in made[0].saved_weights()}
    assert sum(value.numel() for value in saved.values()) < sum(one.numel() for one in made[0].parameters()) / 4
    made[1].load_checkpoint({"state_dict": saved, "base_digest": made[0].base_digest()})
    for one, other in zip(*(rows_of(task.merged_model()) for task in made), strict=True):
        assert torch.equal(one, other)


def test_special_tokens_stay_text_in_data(tmp_path):
    data = text_data(tmp_path, TEXTS)
    data.tokenizer.save_pretrained(tmp_path / "own")
    added = data_of(tmp_path, tmp_path / "own", add_tokens=["<new>"], add_special_tokens=["<|ask|>"]).tokenizer
    ask = added.convert_tokens_to_ids("<|ask|>")
    assert ask in encode(added, ["<|ask|>"], special=True)[0]
    assert ask not in encode(added, ["<|ask|>"])[0]
    assert len(encode(added, ["<new>"])[0]) == 1
    assert added.decode(encode(added, [WORDS[0]])[0]) == WORDS[0]


@pytest.mark.parametrize("kind", ["character", "bpe"])
def test_tokenizers_that_are_made_take_them_too(kind, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    settings = TokenizerSettings(kind=kind, min_frequency=1, add_tokens=["<new>"])
    data = TextData(str(tmp_path / "words.txt"), tokenizer=settings, batch_size=1, cache=str(tmp_path / "cache"))
    data.prepare_data()
    assert len(encode(data.tokenizer, ["<new>"])[0]) == 1
    model = TransformersCausalLM(architecture="gpt2", settings=FAMILIES["gpt2"]).create(data)
    assert model.get_input_embeddings().num_embeddings == len(data.tokenizer)


def test_ids_with_gaps_have_rows():
    backend = Tokenizer(WordLevel({"<end>": 0, "a": 1, "b": 90}, unk_token="<end>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")
    data = SimpleNamespace(tokenizer=tokenizer, sequence_length=32)
    model = TransformersCausalLM(architecture="gpt2", settings=FAMILIES["gpt2"]).create(data)
    assert model.get_input_embeddings().num_embeddings == 91


@pytest.mark.parametrize(
    "added", [{"add_tokens": [""]}, {"add_tokens": ["a", "a"]}, {"add_tokens": ["a"], "add_special_tokens": ["a"]}]
)
def test_texts_that_cannot_be_tokens_are_refused(added):
    with pytest.raises(InputError, match=r"data\.tokenizer\.add_"):
        TokenizerSettings(**added)


def test_entries_of_the_cache_without_added_tokens_are_found_again(tmp_path):
    data = text_data(tmp_path, TEXTS)
    assert "add_tokens" not in data.recipe.settings()["tokenizer"]
    other = TextData(data.path, tokenizer=TokenizerSettings(add_tokens=["<new>"]), batch_size=1)
    assert other.recipe.settings()["tokenizer"]["add_tokens"] == ["<new>"]

"""Folders of pretrained models as people have them: what is missing is named, and their end tokens are kept."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from aigc.config import ConfigError
from aigc.data.text import TextData
from aigc.data.text.tokenizer import TokenizerSettings, make_tokenizer
from aigc.errors import InputError
from aigc.generation.sampling import Sampling
from aigc.generation.texts import generate_texts
from aigc.models import TransformersCausalLM
from aigc.models.end_tokens import end_tokens
from aigc.models.language import TransformersModel
from aigc.models.pretrained import load_tokenizer, weights_problem

TEXTS = [f"{a} {b} {c}" for a in ("red", "blue", "green") for b in ("cat", "dog") for c in ("runs", "sees", "sits")]


def saved(folder: Path, ends: Any, config_ends: Any = None, tokenizer: bool = True, rows: int = 0) -> Path:
    """A tiny model folder whose configurations name these end tokens."""
    own = make_tokenizer(TokenizerSettings(kind="bpe", vocabulary_size=300), TEXTS)
    own.add_special_tokens({"additional_special_tokens": ["<|turn|>", "<|stop|>"]})
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=rows or len(own), n_positions=32, n_embd=8, n_layer=1, n_head=1))
    model.save_pretrained(folder)
    if tokenizer:
        own.save_pretrained(folder)
    for name, value in {"generation_config.json": ends, "config.json": config_ends or ends}.items():
        described = json.loads((folder / name).read_text()) | {"eos_token_id": value}
        (folder / name).write_text(json.dumps(described))
    return folder


def text_data(place: Path, **tokenizer: Any) -> TextData:
    (place / "t.txt").write_text("\n".join(TEXTS) + "\n")
    settings = TokenizerSettings(**tokenizer)
    data = TextData(str(place / "t.txt"), tokenizer=settings, sequence_length=16, batch_size=1, cache=str(place / "c"))
    data.prepare_data()
    return data


def id_of(folder: Path, token: str) -> int:
    return int(PreTrainedTokenizerFast.from_pretrained(folder).convert_tokens_to_ids(token))


def test_further_end_tokens_are_kept_and_end_a_text(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", 0)
    turn, stop = id_of(folder, "<|turn|>"), id_of(folder, "<|stop|>")
    saved(folder, [turn, stop, 9999])
    data = text_data(tmp_path, kind="pretrained", path=str(folder))
    model = TransformersCausalLM(path=str(folder)).create(data)
    own = data.tokenizer.eos_token_id
    assert model.generation_config.eos_token_id == [turn, stop, own]
    assert model.config.eos_token_id == [turn, stop, own]
    model.save_pretrained(tmp_path / "again")
    again = TransformersCausalLM(path=str(tmp_path / "again"))
    data.tokenizer.save_pretrained(tmp_path / "again")
    assert set(end_tokens(again.create(data), data.tokenizer)) == {own, turn, stop}

    output = model.get_output_embeddings()
    with torch.no_grad():  # the model says <|turn|> alone
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.fill_(1.0)
        output.weight.zero_()
        output.weight[turn] = 1.0
        output.weight[id_of(folder, "cat")] = 0.5
    greedy = Sampling(temperature=0.0, max_new_tokens=5)
    assert generate_texts(model, data.tokenizer, ["red"], greedy) == [[""]]
    model.generation_config.eos_token_id = own  # as it was before: the token is suppressed, and the text goes on
    assert len(generate_texts(model, data.tokenizer, ["red"], greedy)[0][0]) > 0


def test_a_model_that_named_one_end_in_its_own_configuration_names_one(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", 0)
    turn = id_of(folder, "<|turn|>")
    saved(folder, [0, turn], config_ends=turn)  # heads that look for the token need a number
    data = text_data(tmp_path, kind="pretrained", path=str(folder))
    model = TransformersCausalLM(path=str(folder)).create(data)
    assert (model.config.eos_token_id, model.generation_config.eos_token_id) == (0, [turn, 0])


@pytest.mark.parametrize("with_its_own", [True, False])
def test_end_tokens_of_another_tokenizer_are_dropped(with_its_own: bool, tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", [50, 51, 299], tokenizer=with_its_own)
    data = text_data(tmp_path, kind="character", min_frequency=1)
    model = TransformersCausalLM(path=str(folder)).create(data)
    assert model.generation_config.eos_token_id == data.tokenizer.eos_token_id


def test_random_weights_have_the_tokenizers_end_alone(tmp_path: Path) -> None:
    data = text_data(tmp_path, kind="character")
    settings = {"n_layer": 1, "n_head": 1, "n_embd": 8}
    model = TransformersCausalLM(architecture="gpt2", settings=settings).create(data)
    assert model.config.eos_token_id == model.generation_config.eos_token_id == data.tokenizer.eos_token_id


def test_rows_that_a_tokenizer_adds_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = saved(tmp_path / "m", 0, rows=250)
    data = text_data(tmp_path, kind="pretrained", path=str(folder))
    added = len(data.tokenizer) - 250
    with caplog.at_level(logging.WARNING, "aigc"):
        model = TransformersCausalLM(path=str(folder)).create(data)
    assert model.get_input_embeddings().num_embeddings == len(data.tokenizer)
    (told,) = [record.getMessage() for record in caplog.records if "embeddings" in record.getMessage()]
    assert f" {added} " in told
    assert "data.tokenizer.path" in told
    caplog.clear()
    saved(folder, 0)
    TransformersCausalLM(path=str(folder)).create(data)
    assert not caplog.records


def test_a_tokenizer_of_another_model_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = saved(tmp_path / "m", 0)
    own = text_data(tmp_path, kind="pretrained", path=str(folder))
    other = text_data(tmp_path, kind="character", min_frequency=1)
    with caplog.at_level(logging.WARNING, "aigc"):
        for data, told in ((own, False), (other, True)):
            assert len(data.tokenizer) <= len(own.tokenizer), "no rows are added"
            TransformersCausalLM(path=str(folder)).create(data)
            assert any(f"model.path={folder}" in record.getMessage() for record in caplog.records) == told


def test_a_folder_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", 0, tokenizer=False)
    with pytest.raises(InputError, match=r"data\.tokenizer\.path: .*/m has no tokenizer files"):
        text_data(tmp_path, kind="pretrained", path=str(folder))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|end|>"}')
    with pytest.raises(InputError, match="has no tokenizer files"):
        load_tokenizer(str(folder))


def without_weights(folder: Path) -> None:
    saved(folder, 0).joinpath("model.safetensors").rename(folder / "training_args.bin")


def with_capital(folder: Path) -> None:
    saved(folder, 0).joinpath("config.json").rename(folder / "Config.json")


@pytest.mark.parametrize(
    ("make", "path", "message"),
    [
        (lambda place: None, "nowhere/at/all", r"model\.path: nowhere/at/all: no such folder"),
        (lambda place: None, "smol", r"model\.path=smol: no such folder"),
        (
            lambda place: (place / "x.gguf").write_bytes(b"GGUF\3"),
            "x.gguf",
            r"model\.path: x\.gguf is not a whole GGUF file",
        ),
        (lambda place: (place / "x").write_bytes(b"GGUF\3"), "./x", r"model\.path: x is not a whole GGUF file"),
        (lambda place: (place / "x.bin").write_bytes(b"x"), "x.bin", r"model\.path: x\.bin is a file"),
        (lambda place: (place / "e").mkdir(), "e", r"model\.path: e has no config\.json"),
        (
            lambda place: saved(place / "m", 0).joinpath("model.safetensors").unlink(),
            "m",
            r"model\.path: m has .* no wei",
        ),
        (
            lambda place: saved(place / "m", 0).joinpath("config.json").rename(place / "m/Config.json"),
            "m",
            "Config.json",
        ),
        *(
            (
                lambda place, cut=cut: cut_weights(saved(place / "m", 0), cut),
                "m",
                r"model\.path: m/model\.safetensors: ",
            )
            for cut in (0, 5, 100, -1)
        ),
        (lambda place: pickled(saved(place / "m", 0), b"no zip"), "m", r"model\.path=m: its weights cannot be read"),
        (lambda place: pickled(saved(place / "m", 0), b"PK\3\4"), "m", r"model\.path=m: its weights cannot be read"),
        (lambda place: pickled(saved(place / "m", 0), b""), "m", r"model\.path: m/pytorch_model\.bin: .*empty"),
        (
            lambda place: pickled(saved(place / "m", 0), b"version https://git-lfs.github.com/spec/v1\n"),
            "m",
            r"model\.path: m/pytorch_model\.bin: .*Git LFS",
        ),
    ],
)
def test_what_is_wrong_with_a_path_is_named_by_its_key(
    make: Any, path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    data = text_data(tmp_path, kind="character")
    with pytest.raises(InputError, match=message):
        begin(path, data)


def cut_weights(folder: Path, size: int) -> None:
    """Keep so many bytes of the weights; a negative number leaves so many out."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:size])


def pickled(folder: Path, content: bytes) -> None:
    """Put a file of the older format in the place of the weights."""
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)


def begin(path: str, data: TextData) -> None:
    """As training does."""
    factory = TransformersCausalLM(path=path)
    factory.check_data(data)
    factory.create(data)


def sharded(folder: Path) -> Path:
    """Save the weights in several files and their index."""
    model = GPT2LMHeadModel.from_pretrained(saved(folder, 0))
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="4KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}, "lacks 1 of 2 files of weights: two"),
        ({"weight_map": 5}, "model.safetensors.index.json is damaged"),
        ([], "model.safetensors.index.json is damaged"),
        ({"weight_map": {"a": "one.safetensors"}}, None),
    ],
)
def test_files_of_weights_that_an_index_names_must_be_there(
    content: object, message: str | None, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "m", 0)
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
    problem = weights_problem(str(folder))
    assert problem is None if message is None else message in (problem or "")


STALE = json.dumps({"weight_map": {"a": "gone-1.bin", "b": "gone-2.bin"}})


@pytest.mark.parametrize(
    ("make", "stale"),
    [
        (lambda folder: saved(folder, 0), "model.safetensors.index.json"),
        (lambda folder: saved(folder, 0), "pytorch_model.bin.index.json"),
        (lambda folder: saved(folder, 0), "model-00001-of-00002.safetensors"),
        (lambda folder: saved(folder, 0), "pytorch_model.bin"),
        (sharded, "pytorch_model.bin.index.json"),
        (sharded, "pytorch_model.bin"),
        (sharded, "model-00099-of-00099.safetensors"),
    ],
)
def test_files_that_are_not_loaded_do_not_matter(make: Any, stale: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / stale).write_text(STALE)
    assert weights_problem(str(folder)) is None
    TransformersCausalLM(path=str(folder)).create(text_data(tmp_path, kind="pretrained", path=str(folder)))


@pytest.mark.parametrize(
    ("arguments", "length", "key"),
    [
        ({"path": "m"}, 33, "data.sequence_length"),
        ({"path": "m", "settings": {"n_positions": 16}}, 17, "data.sequence_length"),
        ({"path": "m", "settings": {"n_layers": 16}}, 16, "model.settings.n_layers"),
        ({"path": "m", "head": "MaskedLM"}, 16, "model.path"),
        ({"architecture": "gpt2", "settings": {"n_positions": 16}}, 17, "data.sequence_length"),
        ({"architecture": "gpt2", "settings": {"n_embd": 8, "n_head": 3}}, 16, "model.settings"),
        ({"architecture": "gpt2", "head": "MaskedLM"}, 16, "model.architecture"),
        ({"architecture": "bert", "head": "MaskedLM", "settings": {"hidden_size": 9}}, 16, "model.settings"),
    ],
)
def test_what_does_not_fit_is_found_before_data_are_prepared(
    arguments: dict[str, Any], length: int, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "m", 0)
    data = TextData("nowhere.txt", sequence_length=length)
    with pytest.raises(ConfigError) as caught:
        TransformersModel(**{"head": "CausalLM"} | arguments).check_data(data)
    assert [problem.key for problem in caught.value.problems] == [key]


@pytest.mark.parametrize("arguments", [{"path": "m"}, {"architecture": "gpt2"}, {"architecture": "llama"}])
def test_what_fits_is_accepted_and_draws_no_random_numbers(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "m", 0)
    before = torch.get_rng_state()
    TransformersCausalLM(**arguments).check_data(TextData("nowhere.txt", sequence_length=32))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_folder_of_gguf_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "q4.gguf").write_bytes(b"GGUF")
    assert "GGUF" in (weights_problem(str(tmp_path)) or "")
    assert weights_problem("~/nothing/here") == "~/nothing/here: no such folder"
    assert weights_problem("someone/model") is None, "it may be on the Hub"


def test_a_measured_run_needs_no_source_of_its_weights(tmp_path: Path) -> None:
    folder = saved(tmp_path / "m", 0)
    data = text_data(tmp_path, kind="pretrained", path=str(folder))
    moved = TransformersCausalLM(path=str(tmp_path / "no/longer/there"))
    assert moved.from_folder(folder).create(data).config.vocab_size == len(data.tokenizer)

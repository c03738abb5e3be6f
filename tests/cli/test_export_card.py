"""What an exported language model holds beside its weights: a model card, sampling settings, its start token."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from aigc.data.text.tokenizer import TokenizerSettings, make_tokenizer
from aigc.inference.parts.hub import handed_on
from aigc.inference.parts.lineage import base_of, read_card
from aigc.inference.parts.model_card import Described, model_card
from aigc.inference.parts.private_paths import without_folders
from aigc.runs import Run
from aigc.runs.manifest import Attempt, Manifest, Result, write_manifest
from aigc.runs.metrics_file import read
from tests.cli.hub import running
from tests.cli.image_runs import Verb, bare_run
from tests.conftest import write
from tests.training.helpers import tiny_model

TEXTS = ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"] * 2
SECRET = "hf_" + "a1" * 12
CONFIG = """
seed: 0
model: {path: BASE}
data: {path: PLACE/poems.jsonl}
evaluation:
  generation:
    sampling: {temperature: 0.7, top_k: 5, repetition_penalty: 1.1, max_new_tokens: 6, stop: [。]}
"""


@dataclass
class Place:
    """A folder with a run, and `aigc export` in it."""

    path: Path
    run: Run
    export: Any


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    """A finished run that tuned a model in `the base`, whose card names a licence."""
    base = tmp_path / "the base"
    write(base / "README.md", "---\nlicense: apache-2.0\nlanguage: zh\nbase_model: org/first\n---\n# A model\n")
    write(base / "config.json", "{}")
    run = bare_run(tmp_path, "poems", CONFIG.replace("BASE", str(base)).replace("PLACE", str(tmp_path)))
    tokenizer = make_tokenizer(TokenizerSettings(kind="character", min_frequency=1), TEXTS)
    tiny_model(SimpleNamespace(tokenizer=tokenizer, sequence_length=32)).save_pretrained(run.model)
    tokenizer.save_pretrained(run.model)
    write_manifest(run.path, manifest(tmp_path))
    rows = [{"step": step, "epoch": 0, "wall_time": 1.0, "val/perplexity": 100.0 + step} for step in (5, 10)]
    write(run.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(run.samples / "step-000010.jsonl", json.dumps({"prompt": "春", "reference": "眠不覺曉"}) + "\n")
    return Place(tmp_path, run, Verb("export", tmp_path, monkeypatch, capsys))


def manifest(place: Path) -> Manifest:
    typed = ["train", f"model.path={place}/the base", f"data.path=[{place}/a.jsonl]", f"logger.wandb.api_key={SECRET}"]
    return Manifest(
        schema_version=1,
        run_id="poems",
        created="2026-01-01T00:00:00+00:00",
        command=[f"{place}/bin/aigc", *typed],
        cwd=str(place),
        packages={"torch": "2.14.1", "click": "8"},
        seed=3,
        data_fingerprint="fade" * 16,
        attempts=[Attempt(host="a-host-of-mine", to_step=10)],
        metrics={"val/perplexity": 105.0, "train/loss": 1.0},
        signatures={"val/perplexity": "weight:token|sum:exact"},
        result=Result(best_step=5),
    )


def test_the_card_says_where_the_weights_are_from_and_how_good_they_are(place: Place) -> None:
    code, _, error = place.export("poems", "--out", "mine")
    assert code == 0, error
    card = (place.path / "mine/README.md").read_text("utf-8")
    assert read_card(place.path / "mine/README.md") == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "apache-2.0",
        "base_model": "org/first",
        "language": ["zh"],
        "tags": ["aigc"],
    }
    for said in ("fade" * 16, "| seed | 3 |", "5 of 10", "torch 2.14.1", "GPT2LMHeadModel", "vllm serve"):
        assert said in card
    assert "| perplexity per token | 105 | `weight:token\\|sum:exact` |" in card
    assert "the weights of a model derived from [org/first]" in card
    assert "train/loss" not in card
    assert "click" not in card
    assert "apache-2.0" in card.partition("## Licence")[2]


def test_nothing_private_is_in_any_exported_text(place: Place) -> None:
    assert place.export("poems", "--out", "mine")[0] == 0
    texts = {
        file.name: file.read_text("utf-8") for file in (place.path / "mine").iterdir() if file.suffix != ".safetensors"
    }
    assert {"README.md", "config.json", "tokenizer_config.json"} <= texts.keys()
    for private in (str(place.path), place.path.parent.name, SECRET, "a-host-of-mine", socket.gethostname()):
        assert [name for name, text in texts.items() if private in text] == []
    assert "aigc train 'model.path=the base' 'data.path=[a.jsonl]'" in texts["README.md"]


@pytest.mark.parametrize(
    ("argument", "left"),
    [
        ("data.path=/home/me/my files/x.jsonl", "data.path=x.jsonl"),
        ("data={path: ~/z.json, n: 1}", "data={path: z.json, n: 1}"),
        ("a=[../up/x.txt,/home/me/]", "a=[x.txt,me]"),
        ("data.path=file:///home/me/x", "data.path=x"),
        ("--out=~bob/x/", "--out=x"),
        ("C:\\Users\\me\\x.txt", "x.txt"),
        ("data.path=hub:/home/me/my data", "data.path=hub:my data"),
        ("model.path=run:~/runs/a", "model.path=run:a"),
        ("run:/home/me/runs/a", "run:a"),
        (
            "data.validation_sets={news: hub:/home/me/n, old:../up/o.txt}",
            "data.validation_sets={news: hub:n, old:o.txt}",
        ),
        ("data.path=hub:org/name@main", "data.path=hub:org/name@main"),
        ("experiment=lm/finetune", "experiment=lm/finetune"),
        ("model.path=org/name", "model.path=org/name"),
        ("url=https://host/x", "url=https://host/x"),
        ("prompt=a / b", "prompt=a / b"),
        (f"token={SECRET}", "token=<redacted>"),
    ],
)
def test_paths_of_the_machine_are_left_as_names(argument: str, left: str) -> None:
    assert without_folders(argument) == left


@pytest.mark.parametrize(("base", "left"), [("/home/ann/base", "base"), ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B")])
@pytest.mark.parametrize(("name", "key"), [("adapter_config.json", "base_model_name_or_path"), ("base.json", "path")])
def test_the_base_of_an_uploaded_adapter_is_a_name(tmp_path: Path, base: str, left: str, name: str, key: str) -> None:
    file = tmp_path / name
    file.write_text(json.dumps({key: base, "r": 4}))
    uploaded = handed_on(file)
    assert isinstance(uploaded, bytes)
    assert json.loads(uploaded) == {key: left, "r": 4}
    assert handed_on(tmp_path / "config.json") == tmp_path / "config.json"


@pytest.mark.parametrize(
    ("path", "named"),
    [("hub:org/name@main", ["org/name"]), ("org/name", ["org/name"]), ("hub:/home/me/set", None), ("hub:sets/a", None)],
)
def test_a_card_names_data_sets_of_the_hub_alone(place: Place, path: str, named: list[str] | None) -> None:
    (place.path / "sets/a").mkdir(parents=True)
    run = bare_run(place.path, "other", f"data: {{path: '{path}'}}\n")
    write_manifest(run.path, manifest(place.path))
    card = model_card(run, Described("GPT2LMHeadModel", 7, ""))
    assert yaml.safe_load(card.split("---")[1]).get("datasets") == named
    assert "/home" not in card


def test_the_scores_of_a_checkpoint_are_those_of_its_step(place: Place) -> None:
    assert read(place.run.path / "metrics.jsonl")[1]["step"] == 10
    card = model_card(place.run, Described("GPT2LMHeadModel", 7, "", step=10))
    assert "| perplexity per token | 110 |" in card
    assert "| weights of step | 10 of 10 |" in card
    assert "Scores" not in model_card(place.run, Described("GPT2LMHeadModel", 7, "", step=7))


def test_a_run_that_continues_another_has_the_base_of_the_first(place: Place) -> None:
    for name, path in (("second", "run:poems"), ("third", str(place.path / "outputs/runs/second/model"))):
        run = bare_run(place.path, name, f"model: {{path: {path}}}\n")
        run.model.mkdir()
        assert base_of(run).card["license"] == "apache-2.0"
        assert base_of(run).hub == "org/first"
    assert base_of(bare_run(place.path, "random", "model: {architecture: gpt2}\n")).name is None
    assert base_of(bare_run(place.path, "hub", "model: {path: org/name}\n")).hub == "org/name"
    assert base_of(bare_run(place.path, "gone", f"model: {{path: {place.path}/gone}}\n")).name == "gone"


def test_a_damaged_manifest_does_not_stop_an_export(place: Place) -> None:
    (place.run.path / "manifest.json").write_text("{}")
    assert place.export("poems", "--out", "mine")[0] == 0
    assert yaml.safe_load((place.path / "mine/README.md").read_text().split("---")[1])["license"] == "apache-2.0"


def test_other_tools_generate_as_the_run_does(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert place.export("poems", "--out", "mine")[0] == 0
    model = AutoModelForCausalLM.from_pretrained(place.path / "mine").eval()
    tokenizer = AutoTokenizer.from_pretrained(place.path / "mine")
    settings = model.generation_config
    assert (settings.do_sample, settings.temperature, settings.top_k) == (True, 0.7, 5)
    assert (settings.repetition_penalty, settings.max_new_tokens) == (1.1, 6)
    assert settings.eos_token_id == tokenizer.eos_token_id
    written = model.generate(**tokenizer("春眠", return_tensors="pt"), do_sample=False)
    generate = Verb("generate", place.path, monkeypatch, capsys)
    keys = ["prompt=春眠", "temperature=0", "repetition_penalty=1.1", "max_new_tokens=6"]
    assert generate("poems", *keys)[1].strip() == tokenizer.decode(written[0], skip_special_tokens=True)
    plain = AutoTokenizer.from_pretrained(place.run.model)("春眠", return_tensors="pt")
    assert plain["input_ids"].shape[1] == 2  # the start token is what the export adds
    assert not torch.equal(model.generate(**plain, do_sample=False)[0, 2:], written[0, 3:])


def test_a_tokenizer_that_came_with_a_model_is_exported_as_it_was(place: Place) -> None:
    tokenizer = AutoTokenizer.from_pretrained(place.run.model)
    tokenizer.add_special_tokens({"bos_token": "<s>", "eos_token": "</s>"})
    tokenizer.save_pretrained(place.run.model)
    assert place.export("poems", "--out", "mine")[0] == 0
    assert AutoTokenizer.from_pretrained(place.path / "mine")("春眠")["input_ids"] == tokenizer("春眠")["input_ids"]
    card = (place.path / "mine/README.md").read_text("utf-8")
    assert 'write("<s>TEXT"' in card  # prompts had it in training, and the tokenizer does not add it
    assert "convert_hf_to_gguf" in card
    config = json.loads((place.path / "mine/config.json").read_text())
    assert config["n_ctx"] == config["n_positions"]


def test_an_upload_that_cannot_be_is_refused_before_anything_is_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    code, _, error = place.export("poems", "--push", "me/poems", "--out", "mine")
    assert (code, "HF_HUB_OFFLINE" in error) == (2, True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(place.path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code, _, error = place.export("poems", "--push", "me/poems", "--out", "mine")
    assert (code, "HF_TOKEN" in error) == (2, True)
    assert place.export("poems", "--push", "no name", "--out", "mine")[0] == 2
    assert not (place.path / "mine").exists()


@pytest.mark.slow
def test_an_export_is_uploaded_as_one_private_repository(place: Place) -> None:
    with running(SECRET) as hub:
        environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.address, "HF_TOKEN": SECRET}
        command = [sys.executable, "-m", "aigc.cli.main", "export", "poems", "--out", "mine", "--push", "me/poems"]
        run = partial(subprocess.run, cwd=place.path, capture_output=True, text=True)
        done = run(command, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{hub.address}/me/poems"
        assert hub.made == [{"name": "poems", "organization": "me", "visibility": "private"}]
        assert hub.files == {file.name: file.read_bytes() for file in (place.path / "mine").iterdir()}
        done = run([*command, "--force"], env=environment | {"HF_TOKEN": "hf_other"})
        assert (done.returncode, "mine" in done.stderr, "hf_other" in done.stderr) == (1, True, False)

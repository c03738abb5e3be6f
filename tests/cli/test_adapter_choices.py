"""A run with an adapter that is kept apart: it is measured, generates and is exported with its base model."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from aigc.inference.parts.hub import handed_on
from aigc.inference.parts.lineage import read_card
from aigc.runs import Run
from tests.docs.inputs import save_tiny_model, write_texts
from tests.launch.forking import run_aigc

pytestmark = pytest.mark.slow

TYPED = [
    "experiment=lm/finetune",
    "data.path=mine.jsonl",
    "data.sequence_length=32",
    "trainer.max_steps=4",
    "trainer.precision=32-true",
    "trainer.validate_every_n_steps=4",
    "evaluation.generation.samples=2",
    "optimizer.lr=0.02",
    "adapter=lora",
    "model.adapter.rank=4",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory, cache):
    """A working directory with a base model, texts, and a run that leaves an adapter alone."""
    folder = tmp_path_factory.mktemp("adapters")
    save_tiny_model(folder / "base")
    write_texts(folder / "mine.jsonl")
    call(folder, cache, "train", *TYPED, "model.path=base", "model.adapter.merge=false", "run.id=apart")
    return folder


def call(place: Path, cache: Path, *arguments: str, code: int = 0) -> str:
    done = run_aigc([*arguments], place, AIGC_OUTPUTS=str(place / "outputs"), AIGC_CACHE=str(cache))
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def run_of(place: Path, name: str) -> Run:
    return Run.open(name, place / "outputs/runs")


def perplexity(run: Run) -> float:
    return run.manifest["metrics"]["val/perplexity"]


def test_it_is_measured_and_generates_with_its_base(place, cache):
    run = run_of(place, "apart")
    assert not (run.model / "model.safetensors").exists()
    found = json.loads(call(place, cache, "eval", "apart", "--json"))["metrics"]
    assert found["val/perplexity"] == pytest.approx(perplexity(run), rel=1e-5)
    assert call(place, cache, "generate", "apart", "prompt=a", "max_new_tokens=3", "temperature=0").startswith("a")


def test_it_is_exported_merged_and_apart(place, cache):
    told = call(place, cache, "export", "apart", "--out", "whole")
    assert "logits of base and adapter" in told
    call(place, cache, "export", "apart", "--format", "peft", "--out", "alone")
    assert not (place / "alone/model.safetensors").exists()
    assert read_card(place / "alone/README.md")["library_name"] == "peft"
    assert read_card(place / "whole/README.md")["library_name"] == "transformers"
    assert json.loads((place / "alone/aigc.json").read_text("utf-8"))["chat"] is False
    uploaded = [handed_on(file) for file in (place / "alone").iterdir() if file.suffix != ".safetensors"]
    texts = [one if isinstance(one, bytes) else one.read_bytes() for one in uploaded]
    assert not any(str(place).encode() in text for text in texts)
    assert all("| adapter | `LoRA` " in (place / one / "README.md").read_text("utf-8") for one in ("alone", "whole"))
    kept, written = (
        load_file(one / "adapter_model.safetensors") for one in (run_of(place, "apart").model, place / "alone")
    )
    assert all(torch.equal(kept[name], written[name]) for name in kept)
    whole = AutoModelForCausalLM.from_pretrained(place / "whole").eval()
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place / "base"), place / "alone").eval()
    said = [
        call(place, cache, "generate", one, "prompt=a", "max_new_tokens=5", "temperature=0")
        for one in ("apart", "alone")
    ]
    assert said[0] == said[1]
    ids = torch.arange(20)[None]
    with torch.no_grad():
        torch.testing.assert_close(whole(ids).logits, theirs(ids).logits, atol=1e-5, rtol=1e-4)
        base = AutoModelForCausalLM.from_pretrained(place / "base").eval()(ids).logits
    assert not torch.allclose(whole.eval()(ids).logits, base, atol=1e-3)


def test_another_run_starts_from_base_and_adapter(place, cache):
    call(place, cache, "train", *TYPED[:-2], "model.path=run:apart", "optimizer.lr=0.0", "run.id=next")
    assert perplexity(run_of(place, "next")) == pytest.approx(perplexity(run_of(place, "apart")), rel=1e-5)


def test_a_run_without_an_adapter_has_none_to_export(place, cache):
    told = call(place, cache, "train", *TYPED[:-2], "model.path=base", "run.id=plain", "trainer.max_steps=1")
    assert told
    assert "--format peft" in call(place, cache, "export", "plain", "--format", "peft", code=2)


def test_a_missing_or_changed_base_is_named(place, cache):
    shutil.move(place / "base", place / "away")
    try:
        for verb in (["generate", "apart", "prompt=a"], ["eval", "apart"], ["export", "apart"]):
            assert str(place / "base") in call(place, cache, *verb, code=2)
        changed = AutoModelForCausalLM.from_pretrained(place / "away")
        changed.transformer.wpe.weight.data[0, 0] += 1
        changed.save_pretrained(place / "base")
        assert "digest" in call(place, cache, "generate", "apart", "prompt=a", code=2)
    finally:
        shutil.rmtree(place / "base", ignore_errors=True)
        shutil.move(place / "away", place / "base")

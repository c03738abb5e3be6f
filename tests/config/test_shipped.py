"""Every shipped YAML composes, is valid, builds, and states in its first lines how to run it."""

import json
import re

import numpy as np
import pytest
import torch

from aigc.config import check, compose
from aigc.config.choices import group_choices
from aigc.config.locate import conf_folder
from aigc.launch.sweeps.search_space import split
from aigc.runs import Run
from tests.config.needs import needs
from tests.conftest import write

FULL_SIZE = ("lm/qwen3_lora", "lm/qlora", "lm/llama3_full_fsdp")
"""Experiments whose weights and data are on the Hub."""
FILES = sorted(path for path in conf_folder().rglob("*.yaml") if not path.name.startswith("_"))
KIND = {"task=gan": ["experiment=gan/letters"], "evaluation=images": ["experiment=gan/letters"]}
"""Choices that do not fit the default experiment, with one that they fit."""


def choices():
    return [f"{group}={choice}" for group, names in group_choices().items() for choice in names]


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(conf_folder())))
def test_each_yaml_states_the_command_that_uses_it(path):
    first = next(line for line in path.read_text(encoding="utf-8").splitlines() if "@package" not in line)
    assert re.match(r"# aigc (train|sweep|submit)\b", first)
    if path.name != "train.yaml":
        group, choice = path.relative_to(conf_folder()).with_suffix("").as_posix().split("/", 1)
        overrides = [word for word in first.split()[3:] if "=" in word]
        check(compose(split(overrides)[0]))
        named = any(word == f"{group}={choice}" or word.startswith(f"{group}.") for word in overrides)
        assert named or group == "paths", f"{path} names another choice: {first}"


@pytest.mark.parametrize("choice", choices())
def test_every_choice_is_valid(choice):
    cfg = compose([choice, *KIND.get(choice, []), *needs(choice)])
    if cfg.data["_target_"].endswith("ImageData") or cfg.model["_target_"].endswith("GanNetworks"):
        cfg = compose([choice, "experiment=gan/letters", *needs(choice)])
    check(cfg)


def experiments(kind):
    return [name for name in group_choices()["experiment"] if name.startswith(kind)]


def test_there_is_no_other_kind_of_experiment():
    assert group_choices()["experiment"] == sorted([*experiments("gan/"), *experiments("lm/")])


@pytest.mark.slow
@pytest.mark.parametrize("experiment", experiments("gan/"))
def test_every_gan_builds_and_discriminates_its_images(experiment, tmp_path, monkeypatch, cache):
    """Use images of this test where those of the experiment would have to be downloaded."""
    from aigc.launch import components

    monkeypatch.setenv("AIGC_CACHE", str(cache))
    choice = f"experiment={experiment}"
    cfg = compose([choice, "data.batch_size=2", *needs(choice)])
    check(cfg, deep=True)
    if cfg.data.path == "mine" or cfg.data.path.startswith("torchvision:"):
        images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
        np.savez(tmp_path / "images.npz", images=images, labels=np.arange(20) % 10)
        cfg.data.path = str(tmp_path / "images.npz")
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    components.build_callbacks(cfg, "callbacks")
    labels = torch.arange(2) if data.labels else None
    images = task.generate(task.latents(2), {} if labels is None else {"labels": labels})
    assert images.shape == (2, data.channels, data.resolution, data.resolution)
    assert task.model.discriminator(images, labels).logits.shape == (2,)


def own_text(place):
    texts = [f"line {number} of {number * number} words" for number in range(2_000)]
    return write(place / "mine.txt", "\n".join(texts) + "\n")


def pretrained(place):
    """A folder with the weights of a small model and its tokenizer."""
    from aigc.launch import components

    small = [f"model.settings.{name}" for name in ("n_embd=16", "n_layer=1", "n_head=2")]
    cfg = compose(["experiment=lm/text", f"data.path={own_text(place)}", *small])
    data = components.build_data(cfg)
    components.build_task(cfg, data).model.save_pretrained(place / "model")
    data.tokenizer.save_pretrained(place / "model")
    return place / "model"


def smaller(place):
    """Overrides that put small weights and few conversations of this test in the place of those on the Hub."""
    rows = [[{"role": "user", "content": f"{i}?"}, {"role": "assistant", "content": f"{i}!"}] for i in range(600)]
    path = write(place / "chat.jsonl", "".join(json.dumps({"messages": row}) + "\n" for row in rows))
    folder = pretrained(place)
    here = ["trainer.accelerator=cpu", "trainer.devices=1", "trainer.strategy=auto", "data.sequence_length=64"]
    here += ["++model.quantised=null"]  # a package that is not everywhere
    return [f"model.path={folder}", f"data.tokenizer.path={folder}", f"data.path={path}", *here]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", experiments("lm/"))
def test_every_language_model_builds(experiment, tmp_path, monkeypatch, cache):
    from aigc.launch import components

    monkeypatch.setenv("AIGC_CACHE", str(cache))
    own = [text.replace("mine.txt", str(own_text(tmp_path))) for text in needs(f"experiment={experiment}")]
    if any("somewhere" in text for text in own):
        own = [text.replace("somewhere", str(pretrained(tmp_path))) for text in own]
    check(cfg := compose([f"experiment={experiment}", *own]))
    if experiment in FULL_SIZE:
        cfg = compose([f"experiment={experiment}", *smaller(tmp_path)])
    check(cfg, deep=True)
    data = components.build_data(cfg)
    assert components.build_task(cfg, data).model.config.vocab_size == len(data.tokenizer)
    callbacks = components.build_callbacks(cfg, "evaluation", "callbacks")
    assert {"evaluation.generation", "callbacks.checkpoints"} <= set(callbacks)
    loggers = components.build_loggers(cfg, Run(tmp_path))
    assert [type(logger).__name__ for logger in loggers] == ["MetricsFileLogger", "TensorBoard"]


@pytest.mark.parametrize("model", ["gpt2", "llama"])
def test_every_model_builds(model, monkeypatch, cache):
    from aigc.launch import components

    monkeypatch.setenv("AIGC_CACHE", str(cache))
    cfg = compose([f"model={model}"])
    data = components.build_data(cfg)
    assert sum(p.numel() for p in components.build_task(cfg, data).parameters()) > 1e6

"""What a run's model can do does not depend on its head of Transformers: it is loaded and exported to the last bit."""

import json
from functools import partial

import pytest
import torch
from transformers import BertForMaskedLM, GPT2LMHeadModel

from aigc.errors import InputError
from aigc.inference.base import SAFETENSORS, Request
from aigc.inference.find import saved_model
from aigc.inference.parts.validation import check_whole
from aigc.inference.transformers_model import SavedTransformersModel
from aigc.launch.results import save_model_folder
from aigc.models import TransformersModel
from aigc.tasks import LanguageTask
from tests.cli.image_runs import bare_run
from tests.training.helpers import SETTINGS, text_data
from tests.training.language_tasks import SIZES, MaskedLM, Preference, network

T5 = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
LAYERS = ("encoder_layers", "decoder_layers")
BART = {"d_model": 16, **dict.fromkeys(LAYERS, 1)}
BART |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
HEADS = [
    ("MaskedLM", "bert", SIZES),
    ("SequenceClassification", "bert", SIZES | {"num_labels": 3}),
    ("SequenceClassification", "gpt2", SETTINGS["gpt2"]),
    ("SequenceClassification", "bart", BART),
    ("TokenClassification", "bert", SIZES),
    ("QuestionAnswering", "bert", SIZES),
    ("Seq2SeqLM", "t5", T5),
    ("Seq2SeqLM", "bart", BART),
    ("CausalLM", "llama", SETTINGS["llama"]),
]


class Task(LanguageTask):
    """A task of one's own, which says nothing of how its model is read."""

    def loss(self, batch):
        raise NotImplementedError


def finished(folder, head, architecture, settings):
    """A run that has left the model of such a task."""
    data = text_data(folder / "data", ["春眠不覺曉", "處處聞啼鳥", "夜來風雨聲", "花落知多少"])
    torch.manual_seed(0)
    model = TransformersModel(head, architecture, settings=settings).create(data)
    run = bare_run(folder, "mine")
    save_model_folder(run, Task(model, torch.optim.SGD), data)
    return run, model


@pytest.mark.parametrize(("head", "architecture", "settings"), HEADS)
def test_a_model_with_any_head_is_loaded_and_exported(head, architecture, settings, tmp_path):
    run, model = finished(tmp_path, head, architecture, settings)
    loaded, tokenizer = run.load_model()
    assert type(loaded) is type(model)
    weights = loaded.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    (tmp_path / "out").mkdir()
    compared = saved_model(run).export(SAFETENSORS, tmp_path / "out", None)
    assert (compared.difference, compared.allowed) == (0.0, 0.0)
    assert tokenizer("春眠").input_ids


def test_a_file_that_changed_would_be_noticed(tmp_path, monkeypatch):
    run, _ = finished(tmp_path, *HEADS[0])
    read = SavedTransformersModel._read

    def careless(self, folder, **settings):
        model = read(self, folder, **settings)
        if folder != run.model:
            model.cls.predictions.bias.data[0] += 1e-6
        return model

    monkeypatch.setattr(SavedTransformersModel, "_read", careless)
    (tmp_path / "out").mkdir()
    assert saved_model(run).export(SAFETENSORS, tmp_path / "out", None).difference > 0


def test_a_model_that_is_not_one_of_transformers_is_refused(tmp_path):
    run, _ = finished(tmp_path, *HEADS[0])
    path = run.model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"architectures": ["logging"]}))
    with pytest.raises(InputError, match="'logging'"):
        run.load_model()


def test_nothing_is_generated(tmp_path):
    run, _ = finished(tmp_path, *HEADS[0])
    model = saved_model(run)
    with pytest.raises(InputError, match="mine"):
        list(model.generate(Request(model.keys())))


def test_a_task_with_weights_that_model_does_not_hold_is_not_measured(tmp_path):
    run = bare_run(tmp_path, "mine")
    optimizer = partial(torch.optim.SGD, lr=0.1)
    check_whole(MaskedLM(network(BertForMaskedLM), optimizer), run)
    with pytest.raises(InputError, match="reference"):
        check_whole(Preference(network(GPT2LMHeadModel), optimizer), run)

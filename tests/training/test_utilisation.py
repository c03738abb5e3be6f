"""Model FLOPs utilisation: the operations of a step, and the share of the device's peak that they are."""

from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from aigc.callbacks import Throughput
from aigc.callbacks.peak_flops import peak_of_name
from aigc.models import TransformersCausalLM
from aigc.tasks import CausalLM
from tests.training.families import FAMILIES
from tests.training.helpers import sgd_task, text_data, tiny_model, trainer

TEXTS = ["春眠不覺曉" * n for n in range(1, 9)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return text_data(tmp_path_factory.mktemp("data"), TEXTS)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
def test_the_operations_are_those_that_torch_counts(family, tied, data):
    settings = FAMILIES[family] | {"tie_word_embeddings": tied}
    model = TransformersCausalLM(architecture=family, settings=settings, attention="eager").create(data)
    task = CausalLM(model, partial(torch.optim.SGD, lr=0.1))
    ids = torch.arange(64).reshape(2, 32) % len(data.tokenizer)
    ones, positions = torch.ones_like(ids), torch.arange(32).expand(2, 32)
    batch = {"input_ids": ids, "labels": ids, "segment_ids": ones, "position_ids": positions, "target_tokens": 62}
    with FlopCounterMode(display=False) as counted:
        task.loss(batch).backward()
    assert float(task.flops(batch)) == pytest.approx(counted.get_total_flops(), rel=0.03)


def test_frozen_weights_inactive_experts_and_padding_take_less(data):
    batch = data.example_rows(4)
    task = sgd_task(TransformersCausalLM(architecture="mixtral", settings=FAMILIES["mixtral"]).create(data))
    whole = float(task.flops(batch))
    dense = sgd_task(task.model)
    dense.model.config.num_experts_per_tok = task.model.config.num_local_experts
    assert float(dense.flops(batch)) > 1.2 * whole
    dense.model.config.num_experts_per_tok = 2
    task.model.model.requires_grad_(False)
    assert 4 / 6 < float(sgd_task(task.model).flops(batch)) / whole < 0.8
    batch["segment_ids"][2:] = 0
    assert float(task.flops(batch)) < 0.7 * whole


def test_the_share_of_the_peak_is_recorded_where_it_is_known(data, tmp_path, monkeypatch):
    found = []
    for peak in (None, 1e9):
        monkeypatch.setattr("aigc.callbacks.throughput.peak_flops", lambda device, half, peak=peak: peak)
        task = sgd_task(tiny_model(data))
        made = trainer(tmp_path, max_steps=2, log_every_n_steps=2, limit_val_batches=0, callbacks=[Throughput()])
        made.fit(task, datamodule=data)
        found.append(task.latest)
    assert "train/mfu" not in found[0]
    batch = data.example_rows(1)
    of_token = float(task.flops(batch)) / batch["target_tokens"]
    assert found[1]["train/mfu"] == pytest.approx(found[1]["train/tokens_per_second"] * of_token / 1e9, rel=0.3)


@pytest.mark.parametrize(
    ("name", "half", "peak"),
    [
        ("NVIDIA H200", True, 989e12),
        ("NVIDIA H200 NVL", True, 835e12),
        ("NVIDIA H100 NVL", True, 835e12),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", True, None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", True, None),
        ("NVIDIA H100 80GB HBM3", True, 989e12),
        ("NVIDIA H100 PCIe", True, 756e12),
        ("NVIDIA A100-SXM4-80GB", True, 312e12),
        ("NVIDIA A100-SXM4-80GB", False, 19.5e12),
        ("NVIDIA L40S", True, 362e12),
        ("NVIDIA L4", True, 121e12),
        ("NVIDIA GeForce RTX 4090", True, 165e12),
        ("NVIDIA GeForce GTX 1080", True, None),
    ],
)
def test_peaks_are_found_by_name(name, half, peak):
    assert peak_of_name(name, half) == peak

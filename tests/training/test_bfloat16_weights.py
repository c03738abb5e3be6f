"""Weights in bfloat16 without a copy in float32: they learn, and a resumed run is the same to the bit."""

import torch
from safetensors.torch import load_file

from aigc.runs.compare import compare_metrics
from tests.training.in_process import attempt, begin, tiny_config, values

TYPED = ["model.dtype=bfloat16", "optimizer=adamw_bf16", "optimizer.lr=1e-2", "callbacks.checkpoints.every_n_steps=2"]


def weights(run):
    return load_file(run.path / "model/model.safetensors")


def test_they_learn_and_resume_to_the_bit(own_place):
    cfg = tiny_config(own_place, *TYPED)
    whole, stopped = (begin(cfg, own_place) for _ in range(2))
    attempt(whole, cfg)
    attempt(stopped, cfg, until=4)
    attempt(stopped)
    assert {weight.dtype for weight in weights(whole).values()} == {torch.bfloat16}
    losses = list(values(whole, "train/loss").values())
    assert losses[-1] < losses[0] - 0.1
    assert compare_metrics(whole.path / "metrics.jsonl", stopped.path / "metrics.jsonl").identical
    assert all(torch.equal(weight, weights(stopped)[name]) for name, weight in weights(whole).items())
    saved = torch.load(sorted((whole.path / "checkpoints").glob("*.ckpt"))[-1], weights_only=True)
    moments = {state["exp_avg"].dtype for state in saved["optimizer_states"][0]["state"].values()}
    assert moments == {torch.float32}


def test_they_depend_on_the_seed_of_the_run(own_place):
    assert tiny_config(own_place, *TYPED, "seed=7").optimizer.seed == 7

"""One validation with generation on each rank, by `aigc`'s own trainer; started by torchrun from a test."""

import json
import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch

from aigc.config import compose
from aigc.launch import components
from aigc.launch.trainer import build_trainer

OVERRIDES = [
    "debug=fast",
    "evaluation.generation.samples=5",
    "evaluation.generation.sampling.max_new_tokens=12",
    "+evaluation.generation.metrics.self_bleu._target_=aigc.metrics.text.SelfBLEU",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true",
]


def main(place: Path) -> None:
    """Leave the scores and signatures of this rank in `rank-<n>.json`."""
    rank = int(os.environ.get("RANK", "0"))
    folder = place / f"run-{rank}"
    folder.mkdir(parents=True)
    cfg = compose(OVERRIDES)
    components.prepare_machine(cfg)
    pl.seed_everything(7)
    data = components.build_data(cfg)
    task = components.build_task(cfg, data)
    callbacks = components.build_callbacks(cfg, "evaluation")
    trainer = build_trainer(cfg, folder, list(callbacks.values()), [])
    trainer.validate(task, datamodule=data, verbose=False)
    generated = {name: value for name, value in task.latest.items() if name in task.signatures}
    told = {"values": generated, "signatures": task.signatures, "weights": sorted(task.state_dict())}
    (place / f"rank-{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

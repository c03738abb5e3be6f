"""Two ranks that train, are stopped by a signal to one of them, and resume; started from a test."""

import os
import sys
from pathlib import Path

import torch
from pytorch_lightning.strategies import DDPStrategy

from aigc.distributed.gradients import BareDDP
from tests.drawing import drawn
from tests.training.resumable import TASKS, differences, final_state, rows, train

PLACES = dict.fromkeys(TASKS, (2, 5, 20)) | {"two_players": (5,), "gan": (2, 20), "stream": (2, 16, 17, 20)}
"""In which batches each task may be stopped: in the middle of an epoch, at its end, at a validation."""


def stops() -> dict[str, list[int]]:
    """In which batches each task is stopped in this session."""
    return {name: drawn(f"ranks of {name}", places, 1) for name, places in PLACES.items()}


def main(root: Path) -> None:
    """Every task, stopped and resumed."""
    rank = int(os.environ["RANK"])
    for name, batches in stops().items():
        strategy = BareDDP if name in ("two_players", "gan") else DDPStrategy
        settings = {"devices": 2, "accelerator": "cpu"}

        def run(folder: Path, at: int | None = None, name=name, strategy=strategy, settings=settings) -> bool:
            chosen = {"strategy": strategy(process_group_backend="gloo"), **settings}
            return train(name, folder, signal_at_batch=at if rank == 0 else None, **chosen)

        assert run(root / name)
        for batch in batches:
            folder = root / f"{name}-{batch}"
            assert not run(folder, batch)
            assert run(folder)
            if rank == 0:
                found = differences(final_state(folder), final_state(root / name))
                assert not found, found[:5]
                assert rows(folder) == rows(root / name)
                print(f"{name} {batch} equal", flush=True)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Ranks that read shards of unlike sizes to the end of two epochs; started by torchrun from a test."""

import json
import sys
from pathlib import Path

import torch.distributed as dist

from aigc.data.stream_loader import StreamLoader
from aigc.runs.console import show_messages
from tests.unit.data.test_streams import streamed


def main(place: Path, group: int, ahead: bool) -> None:
    """Leave in `rank-<n>.json` how many batches this rank got in each epoch, and how many it would have had."""
    dist.init_process_group("gloo")
    show_messages()
    rank, world_size = dist.get_rank(), dist.get_world_size()
    data = streamed(f"hub:{place / 'texts'}", place / f"cache-{rank}", validation_documents=0)
    rows = data.rows(rank, world_size)
    loader = StreamLoader(lambda epoch, at: rows.batches(epoch, 2, at), {"batch_size": 2}, group=group, ahead=ahead)
    counts = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        counts.append(sum(1 for _ in loader))
    told = {"counts": counts, "alone": [sum(1 for _ in rows.batches(epoch, 2)) for epoch in range(2)]}
    (place / f"rank-{rank}.json").write_text(json.dumps(told), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "ahead")

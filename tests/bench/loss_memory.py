"""Peak memory and time of a training step with a vocabulary of 151,936: all logits against some at a time.

Usage: python -m tests.bench.loss_memory [--rows N] [--length N] [--width N]

Each side is a process of its own that trains a Llama of two layers in float32; what it holds
before the first step is taken off.
"""

import argparse
import subprocess
import sys

VOCABULARY, STEPS = 151_936, 3
STEP = """
import resource, sys, time
from functools import partial
import torch
from transformers import LlamaConfig, LlamaForCausalLM
from aigc.tasks import CausalLM
is_chunked, rows, length, width, vocabulary, steps = map(int, sys.argv[1:])
sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": width, "intermediate_size": 3 * width}
torch.manual_seed(0)
config = LlamaConfig(vocab_size=vocabulary, max_position_embeddings=length, tie_word_embeddings=True, **sizes)
task = CausalLM(LlamaForCausalLM(config), partial(torch.optim.SGD, lr=0.1), chunked_loss=bool(is_chunked))
ids = torch.randint(vocabulary, (rows, length))
labels = ids.clone()
labels[:, 0] = -100
positions = torch.arange(length).expand(rows, length)
batch = {"input_ids": ids, "labels": labels, "segment_ids": torch.ones_like(ids), "position_ids": positions}
batch |= {"target_tokens": rows * (length - 1), "packed": False}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.perf_counter()
for _ in range(steps):
    task.zero_grad()
    loss = task.loss(batch)
    loss.backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.perf_counter() - began, float(loss.detach()))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--width", type=int, default=256)
    options = parser.parse_args()
    logits = options.rows * options.length * VOCABULARY
    print(f"logits of a batch in float32: {4 * logits / 2**20:,.0f} MiB")
    for is_chunked in (0, 1):
        sizes = [is_chunked, options.rows, options.length, options.width, VOCABULARY, STEPS]
        command = [sys.executable, "-c", STEP, *map(str, sizes)]
        kibibytes, seconds, loss = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        name = "some at a time" if is_chunked else "all logits"
        memory = f"{int(kibibytes) / 2**10:8,.0f} MiB beside the weights"
        print(f"{name:<15}{memory}, {float(seconds) / STEPS:6.2f} s a step, loss {float(loss):.2f}", flush=True)


if __name__ == "__main__":
    main()
